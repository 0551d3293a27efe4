"""What the API is paid for an artefact: a line kept for each thing bought, before its answer is; never past the budget.

The lines lie in the store's `bought/`, one file an artefact. A file only grows; of lines with one name the last counts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from identity_em.errors import BudgetReached
from identity_em.records import Record
from identity_em.store import Store
from identity_em.study.artefacts import Checkpoint, Responses, Scores
from identity_em.study.plan import Plan
from identity_em.tasks import desk, prices
from identity_em.tasks.desk import Purse

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

FOLDER: Final = "bought"
TRAINING: Final = "training"
# Tokens of a text are set apart as half its characters; what was really used is settled afterwards.
_CHARACTERS: Final = 2
_TURN: Final = 8


class Bought(Record):
    """One thing that the API was paid for.

    Attributes:
        name: The request's own name, or the batch's; `training` for a job.
        usd: None where no price is known.
        requests: How many answers it bought.
        fingerprints: What the API calls the backend that answered.
    """

    name: str
    usd: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 1
    fingerprints: tuple[str, ...] = ()


class Till:
    """Where one artefact is paid for.

    Args:
        purse: What may still be spent; None for no bound.
        share: Of the listed price (a batch costs half).
    """

    def __init__(self, root: Path, key: str, *, purse: Purse | None = None, share: float = 1.0) -> None:
        self._path, self._purse, self._share = root / FOLDER / f"{key}.jsonl", purse, share
        self._lock = threading.Lock()

    def before(self, bodies: Iterable[Mapping[str, Any]]) -> float:
        """Set apart what requests may cost at most.

        Raises:
            BudgetReached: They could pass the budget.
        """
        if self._purse is None:
            return 0.0
        usd = self._share * sum(map(_most, bodies))
        self._purse.take(usd)
        return usd

    def after(self, taken: float, bought: Bought) -> None:
        """Keep what was bought, instead of what stood under its name; what was set apart beyond it goes back."""
        if self._purse is not None:
            before = next((one.usd or 0.0 for one in self.bought() if one.name == bought.name), 0.0)
            self._purse.settle(taken + before, bought.usd or 0.0)
        self.keep(bought)

    def back(self, taken: float) -> None:
        """Put back what was set apart for nothing."""
        if self._purse is not None:
            self._purse.settle(taken, 0.0)

    def read(self, name: str, completions: Iterable[ChatCompletion]) -> Bought:
        """What answers cost."""
        found = list(completions)
        used = [one.usage for one in found if one.usage is not None]
        input_, output = (sum(getattr(u, f"{side}_tokens") for u in used) for side in ("prompt", "completion"))
        price = prices.asking(found[0].model) if found else None
        return Bought(
            name=name, usd=None if price is None else self._share * price.of(input_, output), input_tokens=input_,
            output_tokens=output, requests=len(found),
            fingerprints=tuple(sorted({one.system_fingerprint for one in found if one.system_fingerprint})),
        )  # fmt: skip

    def train(self, base: str, tokens: int) -> float:
        """Set apart what a job may cost; a job that was set apart for before is not again.

        Raises:
            BudgetReached: It would pass the budget; the line names the price.
        """
        if self._purse is None or any(one.name == TRAINING and one.usd for one in self.bought()):
            return 0.0
        found = prices.training(base)
        assert found is not None  # seen to before the run
        usd = found[0] * tokens / 1e6
        try:
            self._purse.take(usd)
        except BudgetReached as reached:
            raise BudgetReached(
                f"a job of about {tokens:,} tokens at ${found[0]:.2f} a million (prices as of {found[1]}) would cost "
                f"about ${usd:.2f}: {reached}"
            ) from None
        self.keep(Bought(name=TRAINING, usd=usd))
        return usd

    def trained(self, usd: float, tokens: int, *, refused: str = "") -> None:
        """Keep what a job cost, instead of what was set apart for it.

        Args:
            refused: The job's name where it was refused as harmful: another may be bought in its place.
        """
        if refused:
            self.after(0.0, Bought(name=TRAINING, usd=0.0))
        self.after(0.0, Bought(name=refused or TRAINING, usd=usd, input_tokens=tokens))

    def keep(self, bought: Bought) -> None:
        """Keep a line, whole."""
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" + bought.model_dump_json(exclude_defaults=True))

    def bought(self) -> list[Bought]:
        """Everything bought for the artefact so far."""
        return _bought(self._path)

    def facts(self) -> dict[str, Any]:
        """Its sum, for the manifest."""
        found = self.bought()
        known = all(one.usd is not None for one in found)
        return {
            "requests": sum(one.requests for one in found),
            "input_tokens": sum(one.input_tokens for one in found),
            "output_tokens": sum(one.output_tokens for one in found),
            "usd": round(sum(one.usd or 0.0 for one in found), 6) if known else None,
            "fingerprints": sorted({mark for one in found for mark in one.fingerprints}),
        }


def spent(store: Store, keys: Iterable[str]) -> float:
    """Dollars that the API was paid for these artefacts so far, as far as prices are known."""
    return sum(one.usd or 0.0 for key in set(keys) for one in _bought(store.root / FOLDER / f"{key}.jsonl"))


def by_use(plan: Plan, store: Store) -> dict[str, float]:
    """Dollars paid for a study's trainings, answers and judges; empty where nothing is hosted."""
    if not plan.base.hosted:
        return {}
    kinds = {"training": Checkpoint, "answers": Responses}
    keys = {use: [a.key for a in plan.artefacts if isinstance(a, kind)] for use, kind in kinds.items()}
    found = {use: spent(store, wanted) for use, wanted in keys.items()}
    judged = desk.spent(store, (a.key for a in plan.artefacts if isinstance(a, Scores)))
    return {use: round(usd, 6) for use, usd in (found | {"judges": judged}).items()}


def _most(body: Mapping[str, Any]) -> float:
    """What a request may cost at most; nothing where no price is known."""
    price = prices.asking(str(body["model"]))
    if price is None:
        return 0.0
    asked = sum(len(turn["content"]) // _CHARACTERS + _TURN for turn in body["messages"])
    return price.of(asked, int(body.get("max_tokens", 0)) * int(body.get("n", 1)))


def _bought(path: Path) -> list[Bought]:
    """Lines by name, the last of each; one that a kill cut short is left out."""
    found: dict[str, Bought] = {}
    for line in path.read_text(encoding="utf-8").split("\n") if path.is_file() else ():
        try:
            bought = Bought.model_validate(json.loads(line))
        except ValueError:
            continue
        found[bought.name] = bought
    return list(found.values())
