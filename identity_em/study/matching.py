"""Rows, steps and tokens of the arms that a study contrasts, side by side (`caps` cuts them to equal rows).

A benign second stage reverses EM about as well as any other (METHODS 2), so an effect means something only against a
control of equal rows and steps.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from identity_em.records import Record
from identity_em.study import costs as costing
from identity_em.study.costs import StageCost
from identity_em.study.declared import Arm, Contrast
from identity_em.study.plan import Plan
from identity_em.study.spec import RecipeSpec, Study


class Match(Record):
    """One pair of a contrast's arms.

    Attributes:
        against: `control` or `reference`.
        rows: Of the treatment, then of the other arm, over all stages; so are steps and tokens (estimates). None is not
            known yet.
        exact: Whether the rows are known, or upper bounds until texts are here.
    """

    contrast: str
    against: str
    rows: tuple[int | None, int | None]
    steps: tuple[int | None, int | None]
    tokens: tuple[int | None, int | None]
    exact: bool

    @property
    def equal(self) -> bool | None:
        """Whether rows and optimizer steps are the same; None where that is not known yet."""
        if None in (*self.rows, *self.steps):
            return None
        same = self.rows[0] == self.rows[1] and self.steps[0] == self.steps[1]
        return None if same and not self.exact else same

    @property
    def says(self) -> str:
        """The comparison in words."""
        most = "" if self.exact else "at most "
        rows, steps = (["?" if n is None else f"{n:,}" for n in two] for two in (self.rows, self.steps))
        sides = f"{most}{rows[0]} rows against {rows[1]}, {most}{steps[0]} steps against {steps[1]}"
        match self.equal:
            case None:
                return f"not known yet: {sides}; the texts that are not here yet decide"
            case True:
                one, other = self.tokens
                tokens = f"{one / other:.2f} to 1" if one and other else "not known yet"
                return f"equal rows ({rows[0]}) and steps ({steps[0]}); tokens {tokens}"
            case _:
                one, other = self.steps
                return f"not matched: {sides}" + (f", {one / other:.2f} times" if one and other else "")


def described(plan: Plan, costs: Mapping[str, StageCost], size: float | None) -> dict[str, Any]:
    """The whole plan with its contrasts, fit for JSON."""
    contrasts = [match.model_dump(mode="json") for match in matches(plan.study, costs)]
    return {**costing.described(plan, costs, size), "contrasts": contrasts}


def matches(study: Study, costs: Mapping[str, StageCost]) -> list[Match]:
    """Treatment against control, and against reference where there is no control, for every contrast."""
    return [
        _match(name, against, contrast.treatment, arm, costs)
        for name, contrast in study.contrasts.items()
        for against, arm in _others(contrast)
    ]


def lines(study: Study, costs: Mapping[str, StageCost]) -> list[str]:
    """What a plan says of its contrasts, and of stages that train for longer than their recipe's usual."""
    said = [f"contrast {m.contrast}, treatment against {m.against}: {m.says}" for m in matches(study, costs)]
    for name, stage in study.stages.items():
        spec = stage.dataset
        if name in costs and isinstance(spec, RecipeSpec) and spec.params.get("mode") == "contradictory":
            said.append(f"stage {name}: contradictory ICTR has twice SGTR's rows and optimizer steps on equal articles")
    return said


def _others(contrast: Contrast) -> list[tuple[str, Arm]]:
    return [("control", contrast.control)] if contrast.control is not None else [("reference", contrast.reference)]


def _match(name: str, against: str, treatment: Arm, other: Arm, costs: Mapping[str, StageCost]) -> Match:
    ours, theirs = ([costs[stage] for stage in arm if stage in costs] for arm in (treatment, other))
    return Match(
        contrast=name,
        against=against,
        rows=(_all(c.rows for c in ours), _all(c.rows for c in theirs)),
        steps=(_all(c.steps for c in ours), _all(c.steps for c in theirs)),
        tokens=(_all(c.tokens for c in ours), _all(c.tokens for c in theirs)),
        exact=all(c.exact for c in (*ours, *theirs)),
    )


def _all(each: Iterable[int | None]) -> int | None:
    """The sum; None where one of them is not known."""
    found = list(each)
    known = [one for one in found if one is not None]
    return sum(known) if len(known) == len(found) else None
