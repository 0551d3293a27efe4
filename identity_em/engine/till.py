"""What the API is paid for an artefact: a line kept for each thing bought, before its answer is; never past the budget.

The lines lie in the store's `bought/`, one file an artefact. A file only grows; of lines with one name the last counts.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
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
        name: The request's own name, the batch's or the job's; `training` for a job that is not made yet.
        usd: None where it is not known: no price, a reply that says no tokens, or a job or batch that is under way.
        held: Dollars of the budget that are set apart for it meanwhile.
        requests: How many answers it bought.
        fingerprints: What the API calls the backend that answered.
    """

    name: str
    usd: float | None = None
    held: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 1
    fingerprints: tuple[str, ...] = ()


class Till:
    """Where one artefact is paid for.

    Args:
        purse: What may still be spent; None for no bound.
    """

    def __init__(self, root: Path, key: str, *, purse: Purse | None = None) -> None:
        self._path, self._purse = _file(root, key), purse
        self._lines = _bought(self._path)
        self._lock = threading.Lock()

    def before(self, bodies: Iterable[Mapping[str, Any]], share: float = 1.0) -> float:
        """Set apart what requests may cost at most.

        Args:
            share: Of the listed price (a batch costs half).

        Raises:
            BudgetReached: They could pass the budget.
        """
        if self._purse is None:
            return 0.0
        usd = share * sum(map(_most, bodies))
        self._purse.take(usd)
        return usd

    def after(self, taken: float, bought: Bought) -> None:
        """Keep what was bought, instead of what stood under its name; what was set apart beyond it goes back.

        Where its cost is not known, what was set apart stays so.
        """
        stood = self._lines.get(bought.name, Bought(name=bought.name, usd=0.0))
        apart = taken + (stood.held if stood.usd is None else stood.usd)
        if self._purse is not None:
            self._purse.settle(apart, apart if bought.usd is None else bought.usd)
        self._keep(bought if bought.usd is not None else bought.model_copy(update={"held": apart}))

    def hold(self, name: str, taken: float) -> None:
        """Keep that so many dollars are set apart for what is under way."""
        self.after(taken, Bought(name=name, requests=0))

    def back(self, taken: float) -> None:
        """Put back what was set apart for nothing."""
        if self._purse is not None:
            self._purse.settle(taken, 0.0)

    def read(self, name: str, model: str, completions: Iterable[ChatCompletion], share: float = 1.0) -> Bought:
        """What answers of the model that was asked cost."""
        found = list(completions)
        told = ((one.usage.prompt_tokens, one.usage.completion_tokens) for one in found if one.usage is not None)
        # A lenient reading lets a usage without numbers pass.
        used = [tokens for tokens in told if None not in tokens]
        input_, output = (sum(tokens[side] for tokens in used) for side in (0, 1))
        price = prices.asking(model) if len(used) == len(found) else None
        return Bought(
            name=name, usd=None if price is None else share * price.of(input_, output), input_tokens=input_,
            output_tokens=output, requests=len(found),
            fingerprints=tuple(sorted({one.system_fingerprint for one in found if one.system_fingerprint})),
        )  # fmt: skip

    def train(self, base: str, tokens: int) -> None:
        """Set apart what a job may cost; a job that was set apart for before is not again.

        Raises:
            BudgetReached: The budget would be passed, or is; the line names the price.
        """
        if self._purse is None:
            return
        found = prices.training(base)
        assert found is not None  # seen to before the run
        usd, apart = found[0] * tokens / 1e6, TRAINING in self._lines and self._lines[TRAINING].held
        try:
            # What an earlier run set apart is in the purse already, and may be more than this run allows.
            self._purse.take(0.0 if apart else usd)
        except BudgetReached as reached:
            raise BudgetReached(
                f"a job of about {tokens:,} tokens at ${found[0]:.2f} a million (prices as of {found[1]}) would cost "
                f"about ${usd:.2f}: {reached}"
            ) from None
        if not apart:
            self.hold(TRAINING, usd)

    def trained(self, job: str, usd: float | None, tokens: int) -> None:
        """Keep what a job cost, by its name, instead of what was set apart for one.

        Args:
            usd: None where that is not known.
        """
        apart = self._lines.get(TRAINING)
        self.after(apart.held if apart is not None else 0.0, Bought(name=job, usd=usd, input_tokens=tokens))
        if apart is not None:
            self._keep(Bought(name=TRAINING, usd=0.0))

    def refund(self) -> None:
        """No job was made: put back what was set apart for it."""
        self.after(0.0, Bought(name=TRAINING, usd=0.0))

    def _keep(self, bought: Bought) -> None:
        """Keep a line, whole."""
        with self._lock:
            self._lines[bought.name] = bought
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" + bought.model_dump_json(exclude_defaults=True))

    def bought(self) -> list[Bought]:
        """Everything bought for the artefact so far."""
        return list(self._lines.values())

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


def by_artefact(store: Store, *, held: bool = False) -> defaultdict[str, float]:
    """Dollars that the API and judges were paid so far, by the artefact's key, as far as that is known.

    Args:
        held: Count what is set apart for what is under way, too.
    """
    found = desk.by_artefact(store)
    for path in (store.root / FOLDER).glob("*.jsonl"):
        found[path.stem] += sum(one.usd if one.usd is not None else one.held * held for one in _bought(path).values())
    return found


def by_use(plan: Plan, store: Store) -> tuple[dict[str, float], tuple[str, ...]]:
    """Dollars paid for a study's trainings, answers and judges, and for which of these more was paid than is known.

    Both are empty where nothing is hosted.
    """
    if not plan.base.hosted:
        return {}, ()
    uses = {"training": Checkpoint, "answers": Responses}
    keys = {use: {a.key for a in plan.artefacts if isinstance(a, kind)} for use, kind in uses.items()}
    lines = {
        use: [one for key in wanted for one in _bought(_file(store.root, key)).values()] for use, wanted in keys.items()
    }
    judged = desk.by_artefact(store)
    spent = {use: sum((one.usd or 0.0 for one in bought), 0.0) for use, bought in lines.items()}
    spent["judges"] = sum((judged[key] for key in {a.key for a in plan.artefacts if isinstance(a, Scores)}), 0.0)
    unknown = (use for use, bought in lines.items() if any(one.usd is None for one in bought))
    return {use: round(usd, 6) for use, usd in spent.items()}, tuple(unknown)


def _file(root: Path, key: str) -> Path:
    return root / FOLDER / f"{key}.jsonl"


def _most(body: Mapping[str, Any]) -> float:
    """What a request may cost at most; nothing where no price is known."""
    price = prices.asking(str(body["model"]))
    if price is None:
        return 0.0
    asked = sum(len(turn["content"]) // _CHARACTERS + _TURN for turn in body["messages"])
    return price.of(asked, int(body.get("max_tokens", 0)) * int(body.get("n", 1)))


def _bought(path: Path) -> dict[str, Bought]:
    """Lines by name, the last of each; one that a kill cut short is left out."""
    found: dict[str, Bought] = {}
    for line in path.read_text(encoding="utf-8").split("\n") if path.is_file() else ():
        try:
            bought = Bought.model_validate(json.loads(line))
        except ValueError:
            continue
        found[bought.name] = bought
    return found
