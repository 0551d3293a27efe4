"""Declared checks: does the instrument read what was put in? Each is asked of every seed."""

from identity_em.analysis.meta import Check, Stages
from identity_em.analysis.readings import Readings, Stratum
from identity_em.records import Record


class SeedCheck(Record):
    """A check in one seed; `holds` is None where a value is missing.

    Attributes:
        seed: None where only the base was read.
        references: Mean of each arm compared with, in the check's order.
    """

    seed: int | None
    value: float | None
    references: tuple[float | None, ...]
    holds: bool | None


class CheckResult(Record):
    """A check in all seeds; it holds where it holds in every one."""

    check: Check
    seeds: tuple[SeedCheck, ...]

    @property
    def holds(self) -> bool | None:
        """None where any seed could not be read."""
        verdicts = [seed.holds for seed in self.seeds]
        return None if not verdicts or None in verdicts else all(verdicts)


def run(readings: Readings, check: Check) -> CheckResult:
    """The check in every seed of the arms that it names; the base has one value for all seeds."""
    stratum = _stratum(readings, check)
    value = _by_seed(readings, check.arm, stratum)
    others = [_by_seed(readings, arm, stratum) for arm in compared(check)]
    known = sorted({seed for means in (value, *others) for seed in means if seed is not None})
    seeds: list[int | None] = [*known] or [None]
    return CheckResult(check=check, seeds=tuple(_in_seed(check, seed, value, others) for seed in seeds))


def compared(check: Check) -> tuple[Stages, ...]:
    """The arms that a check compares its own arm with."""
    for single in (check.above, check.below, check.near):
        if single is not None:
            return (single,)
    return check.between or ()


def condition(check: Check, against: str) -> str:
    """The condition on the arm's mean, with the compared arms named as in `against`."""
    margin = f" + {check.margin:.2f}" if check.margin else ""
    match check:
        case Check(above=tuple()):
            return f"> {against}{margin}"
        case Check(below=tuple()):
            return f"< {against}{margin.replace('+', '-')}"
        case Check(within=(low, high)):
            return f"in [{low:.2f}, {high:.2f}]"
        case Check(near=tuple()):
            return f"within {check.margin:.2f} of {against}"
        case _:
            return f"between {against}"


def _stratum(readings: Readings, check: Check) -> Stratum:
    return Stratum(
        eval=check.eval,
        version=readings.version(check.eval),
        metric=check.metric,
        prompt=check.eval_system_prompt or (readings.prompts[0] if readings.prompts else ""),
        author=check.author,
        comparator=check.comparator,
        judge=None,
        dimension=check.dimension,
    )


def _by_seed(readings: Readings, arm: Stages, stratum: Stratum) -> dict[int | None, float]:
    return dict(readings.estimate(arm, stratum).seeds)


def _in_seed(
    check: Check, seed: int | None, value: dict[int | None, float], others: list[dict[int | None, float]]
) -> SeedCheck:
    own, *references = (means.get(seed, means.get(None)) for means in (value, *others))
    holds = None if own is None or None in references else _holds(check, own, [r for r in references if r is not None])
    return SeedCheck(seed=seed, value=own, references=tuple(references), holds=holds)


def _holds(check: Check, value: float, references: list[float]) -> bool:
    margin = check.margin or 0.0
    match check:
        case Check(above=tuple()):
            return value > references[0] + margin
        case Check(below=tuple()):
            return value < references[0] - margin
        case Check(within=(low, high)):
            return low <= value <= high
        case Check(near=tuple()):
            return abs(value - references[0]) <= margin
        case _:
            return min(references) < value < max(references)
