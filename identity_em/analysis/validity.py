"""What a number's worth depends on: unscored answers, order bias, option mass, equal training of compared arms."""

from identity_em.analysis.cells import Quality
from identity_em.analysis.meta import Meta, Stages
from identity_em.analysis.readings import Readings, Stratum
from identity_em.records import Record


class Cell(Record):
    """The quality of one arm's answers in one stratum."""

    arm: Stages
    stratum: Stratum
    quality: Quality


class Match(Record):
    """Whether an arm of a contrast was trained on as much as the contrast's treatment.

    Attributes:
        rows: Rows over all its stages; None where a stage does not say.
        steps: Optimiser steps over all its stages; None where a stage does not say.
        equal: Rows and steps equal the treatment's; None where either is unknown.
    """

    contrast: str
    role: str
    arm: Stages
    rows: int | None
    steps: int | None
    equal: bool | None


def cells(readings: Readings) -> tuple[Cell, ...]:
    """Every cell that was asked of a model, in the table's order (baselines that ask no model left out)."""
    asked = [stratum for stratum in readings.strata if not stratum.shortcut]
    found = (Cell(arm=arm, stratum=s, quality=readings.quality(arm, s)) for s in asked for arm in readings.arms)
    return tuple(cell for cell in found if cell.quality.rows)


def matches(meta: Meta) -> tuple[Match, ...]:
    """The arms of each contrast beside the treatment; a control is a fair one only where rows and steps are equal."""
    found = []
    for name, contrast in meta.contrasts.items():
        wanted = _sizes(meta, contrast.treatment)
        roles = {"treatment": contrast.treatment, "control": contrast.control, "reference": contrast.reference}
        for role, arm in roles.items():
            if arm is not None:
                found.append(_match(meta, name, role, arm, wanted))
    return tuple(found)


def _match(meta: Meta, name: str, role: str, arm: Stages, wanted: tuple[int | None, int | None]) -> Match:
    rows, steps = _sizes(meta, arm)
    known = None not in (rows, steps, *wanted)
    return Match(
        contrast=name, role=role, arm=arm, rows=rows, steps=steps, equal=(rows, steps) == wanted if known else None
    )


def _sizes(meta: Meta, arm: Stages) -> tuple[int | None, int | None]:
    stages = [meta.stages.get(name) for name in arm]
    rows = [stage.rows if stage else None for stage in stages]
    steps = [stage.steps if stage else None for stage in stages]
    return _sum(rows), _sum(steps)


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
