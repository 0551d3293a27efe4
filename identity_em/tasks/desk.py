"""A judge's desk: every verdict kept the moment it is given, what it cost, and how much may still be spent.

Verdicts lie in the store's `judged/`, one file a judge and rubric, by what was asked: a run that was stopped, or
another checkpoint with the same answer, never buys one twice. A file only grows; it is no artefact, but where
artefacts are made from.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from identity_em import places
from identity_em.errors import BudgetReached
from identity_em.records import Record, Rubric, Verdict
from identity_em.store import Store

FOLDER = "judged"


class Call(Record):
    """One answer of a judge, as it is kept.

    Attributes:
        id: Hash of all that was asked.
        bought_for: Key of the Scores it was asked for first.
        served_as: The model's own name for itself.
        usd: What it cost; None where no price is known.
    """

    id: str
    verdict: Verdict
    bought_for: str = ""
    served_as: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None


class Desk:
    """Where one judge works for one Scores.

    Args:
        root: The store's folder; None keeps nothing.
        bought_for: Key of the Scores.
        purse: What may still be spent; None for no bound.
    """

    def __init__(self, root: Path | None, *, bought_for: str = "", purse: Purse | None = None) -> None:
        self.root, self.bought_for, self.purse = root, bought_for, purse
        self._kept: dict[str, Call] = {}
        self._used: set[str] = set()
        self._read: set[Path] = set()

    def known(self, judge: str, rubric: Rubric, prompt: str) -> Verdict | None:
        """A verdict that was given before."""
        self._load(self._file(judge, rubric))
        call = self._kept.get(identity(judge, rubric, prompt))
        if call is None:
            return None
        self._used.add(call.id)
        return call.verdict

    def keep(self, judge: str, rubric: Rubric, call: Call) -> None:
        """Keep a verdict, whole, before anything else is asked."""
        self._kept[call.id] = call
        self._used.add(call.id)
        path = self._file(judge, rubric)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock"), path.open("a", encoding="utf-8") as file:
                file.write("\n" + call.model_dump_json())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else asks meanwhile, and what others kept before is known: for what all processes want at once."""
        if self.root is None:
            yield
            return
        (self.root / FOLDER).mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / FOLDER / "known-answers.lock"):
            self._read.clear()
            yield

    def facts(self) -> dict[str, Any]:
        """Calls, tokens and cost of what this Scores was made from; only what was bought for it is counted."""
        calls = [self._kept[name] for name in sorted(self._used)]
        bought = [call for call in calls if call.bought_for == self.bought_for]
        known = all(call.usd is not None for call in bought)
        return {
            "verdicts": len(calls),
            "calls": len(bought),
            "input_tokens": sum(call.input_tokens for call in bought),
            "output_tokens": sum(call.output_tokens for call in bought),
            "usd": round(sum(call.usd or 0.0 for call in bought), 6) if known else None,
            "served_as": sorted({call.served_as for call in calls}),
        }

    def _file(self, judge: str, rubric: Rubric) -> Path | None:
        if self.root is None:
            return None
        name = hashlib.sha256(f"{judge}\n{rubric.digest}".encode()).hexdigest()[:16]
        return self.root / FOLDER / f"{rubric.name}-{name}.jsonl"

    def _load(self, path: Path | None) -> None:
        if path is not None and path not in self._read:
            self._read.add(path)
            self._kept |= {call.id: call for call in calls(path)}


def identity(judge: str, rubric: Rubric, prompt: str) -> str:
    """A name for one thing asked of one judge under one rubric."""
    return hashlib.sha256(f"{judge}\n{rubric.digest}\n{prompt}".encode()).hexdigest()


def calls(path: Path) -> Iterator[Call]:
    """The calls in a file; a line that a crash or a full disk cut short is left out, and bought again."""
    for line in path.read_text(encoding="utf-8").split("\n") if path.is_file() else ():
        with suppress(ValueError):
            yield Call.model_validate_json(line)


def by_artefact(store: Store) -> defaultdict[str, float]:
    """Dollars that verdicts have cost so far, by the key of the Scores that they were bought for."""
    found: defaultdict[str, float] = defaultdict(float)
    for path in sorted((store.root / FOLDER).glob("*.jsonl")):
        for call in calls(path):
            found[call.bought_for] += call.usd or 0.0
    return found


class Purse:
    """A budget that several processes spend from: nothing is asked that could pass it.

    Args:
        path: A small file with the bound and what is spent or set apart.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def fill(self, limit: float, already: float, *, beside: bool = False) -> None:
        """Begin with a bound, and what was spent before.

        Args:
            beside: Others spend from it now: what they have set apart stays so.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._alone():
            before = self._read()["spent"] if beside and self.path.is_file() else 0.0
            self._write({"limit": limit, "spent": max(already, before)})

    def take(self, usd: float) -> None:
        """Set dollars apart.

        Raises:
            BudgetReached: They would pass the bound.
        """
        body = self._add(usd)
        if body["spent"] > body["limit"]:
            after = self._add(-usd)
            raise BudgetReached(
                f"the budget of ${body['limit']:.4f} would be passed (${after['spent']:.4f} spent); what was bought is "
                "kept, and the same command with a larger --budget goes on from there"
            )

    def settle(self, taken: float, cost: float) -> None:
        """Put back what was set apart beyond the cost."""
        self._add(cost - taken)

    def _add(self, usd: float) -> dict[str, float]:
        with self._alone():
            body = self._read()
            body["spent"] += usd
            self._write(body)
        return body

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock, FileLock(f"{self.path}.lock"):
            yield

    def _read(self) -> dict[str, float]:
        body: dict[str, float] = json.loads(self.path.read_text())
        return body

    def _write(self, body: Mapping[str, float]) -> None:
        places.Folder(self.path.parent).write(self.path.name, json.dumps(body))
