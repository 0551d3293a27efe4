"""What a tidy table says about itself: the study as declared, the evals' cards, the plan and the provenance.

It travels inside the table's file, so that a report needs nothing else. It holds no time and no path, so that
two runs of one study write the same bytes.
"""

from typing import Any, Literal

from pydantic import Field, field_validator

from identity_em.records import Record
from identity_em.study.declared import ARROW, Arm, Check, arm_name
from identity_em.study.declared import Contrast as ContrastMeta

__all__ = [
    "ARROW",
    "BlockedMeta",
    "Check",
    "ContrastMeta",
    "EvalMeta",
    "JudgeMeta",
    "Meta",
    "MetricMeta",
    "PlanMeta",
    "Provenance",
    "StageMeta",
    "Stages",
    "arm_name",
]

Stages = Arm


class StageMeta(Record):
    """One stage as it was trained; numbers are None where they are not known.

    Attributes:
        leaks: By eval, how many of its items were found again among the rows, question or answer side.
    """

    dataset: str
    system_prompt: str = "default"
    rows: int | None = None
    steps: int | None = None
    tokens: int | None = None
    leaks: dict[str, int] | None = None


class MetricMeta(Record):
    """A metric's title, the direction that is better ("none" where neither is), and what counts as no difference.

    Attributes:
        margin: Differences smaller than this are called equivalent where the interval shows it (TOST); None where
            the study states none, and then nothing is ever called equivalent.
    """

    title: str
    better: Literal["higher", "lower", "none"] = "none"
    margin: float | None = Field(default=None, gt=0)


class EvalMeta(Record):
    """An eval as it was asked.

    Attributes:
        items: Where its items came from, in words ("pocket world 0", "published").
        card: The text of its card, or a line of it.
    """

    version: int | str
    metrics: dict[str, MetricMeta] = Field(default_factory=dict)
    items: str = ""
    card: str = ""


class JudgeMeta(Record):
    """A model as judge of one eval under one rubric: what it was asked for, and how it grades what is known.

    Attributes:
        rubric: Name and digest.
        usd: What its calls cost; None where no price is known.
        known: Answers of known level that it graded; `scored` of them could be read.
        agreement: Share of those within half of a fifth step of the known level.
        mean_error: On the 0..1 scale; above 0 it grades too high.
        kappa: Quadratic weights, five steps.
    """

    judge: str
    eval: str
    rubric: str
    calls: int = 0
    tokens: int = 0
    usd: float | None = None
    known: int = 0
    scored: int = 0
    agreement: float | None = None
    mean_error: float | None = None
    kappa: float | None = None


class BlockedMeta(Record):
    """An arm that an API refused as harmful: a result of its own.

    Attributes:
        at: "data", "job", "inference", or "parent ARM" where it is an earlier stage that was refused.
        said: The API's own words.
    """

    arm: Arm
    seed: int | None = None
    at: str
    said: str


class PlanMeta(Record):
    """How many trainings the study took, how many without sharing, and how many artefacts."""

    trainings: int = 0
    naive_trainings: int = 0
    artefacts: int = 0
    shared: int = 0


class Provenance(Record):
    """What made the table: library versions, commit, and the trainer's own facts."""

    versions: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    dirty: bool = False
    trainer: dict[str, Any] = Field(default_factory=dict)

    @field_validator("versions", "trainer")
    @classmethod
    def _sorted(cls, value: dict[str, Any]) -> dict[str, Any]:
        return dict(sorted(value.items()))


class Meta(Record):
    """The study behind a table.

    Attributes:
        arms: In declared order, () being the base.
        spent: Dollars by what they bought ("training", "answers", "judges"); empty where nothing was paid for.
        unpriced: Of which of these more was bought, at a price that is not known.
    """

    study: str
    base: str
    chain: str = "live"
    seeds: tuple[int, ...] = ()
    arms: tuple[Stages, ...] = ()
    stages: dict[str, StageMeta] = Field(default_factory=dict)
    contrasts: dict[str, ContrastMeta] = Field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    evals: dict[str, EvalMeta] = Field(default_factory=dict)
    judges: tuple[JudgeMeta, ...] = ()
    blocked: tuple[BlockedMeta, ...] = ()
    spent: dict[str, float] = Field(default_factory=dict)
    unpriced: tuple[str, ...] = ()
    plan: PlanMeta = PlanMeta()
    provenance: Provenance = Provenance()
    notes: tuple[str, ...] = ()

    def metric(self, eval_name: str, metric: str) -> MetricMeta:
        """What is known of a metric; its own name where the study says nothing."""
        known = self.evals[eval_name].metrics if eval_name in self.evals else {}
        return known.get(metric, MetricMeta(title=metric.replace("_", " ")))

    def version(self, eval_name: str) -> str:
        """The eval's version as text; "" where the study does not list the eval."""
        return str(self.evals[eval_name].version) if eval_name in self.evals else ""
