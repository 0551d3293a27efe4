"""What can look like an effect and is none: each named with its place, so that a reader is told before the numbers.

A warning is raised only where chance would hardly raise it anywhere in the table: the level is shared among all cells
that are looked at, so that clean tables stay clean.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np

from identity_em.analysis import crossed, gates, shape
from identity_em.analysis.contrasts import Finding
from identity_em.analysis.meta import Stages, arm_name
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.stats import BASE_SEED
from identity_em.records import Record

Kind = Literal["unread", "position", "control", "seeds", "reversed", "duplicate"]
LEVEL: Final = 0.025
_SHARE: Final = 0.25  # of the treatment's effect, from which on a control is pointed out
_CLEAR: Final = 0.02  # of both p, which chance seldom brings at once


class Notice(Record):
    """One thing to know before reading a number.

    Attributes:
        barred: Whether the cell is therefore not compared.
    """

    kind: Kind
    arm: Stages
    stratum: Stratum
    text: str
    barred: bool = False


def found(readings: Readings, findings: Sequence[Finding]) -> list[Notice]:
    """Every warning, by kind."""
    cells = [(arm, s) for s in readings.strata if not s.shortcut for arm in readings.arms if readings.keys(arm, s)]
    return [
        *_unread(readings, cells),
        *_position(readings, cells),
        *_duplicates(readings, cells),
        *_reversed(readings, cells),
        *_apart(readings, cells),
        *_controls(findings),
    ]


Cells = Sequence[tuple[Stages, Stratum]]


def _unread(readings: Readings, cells: Cells) -> Iterator[Notice]:
    for arm, stratum in cells:
        share, mean = readings.quality(arm, stratum).unscored, readings.estimate(arm, stratum).mean
        if share > gates.NOTICED:
            low, high = (0.0, 1.0) if mean is None else (mean * (1 - share), mean * (1 - share) + share)
            text = (
                f"{100 * share:.1f} % of the answers of {arm_name(arm)} could not be read; "
                f"were all of them 0 or all 1, its mean would be {low:.2f} or {high:.2f}"
            )
            yield Notice(kind="unread", arm=arm, stratum=stratum, text=text, barred=share > gates.UNREAD)


def _position(readings: Readings, cells: Cells) -> Iterator[Notice]:
    for arm, stratum in cells:
        quality = readings.quality(arm, stratum)
        bias, error = quality.order_bias or 0.0, quality.order_error or 0.0
        if abs(bias) > gates.POSITION and abs(bias) > gates.SURE * error:
            text = f"{arm_name(arm)} answers by position, not by content: order bias {bias:+.2f}"
            yield Notice(kind="position", arm=arm, stratum=stratum, text=text, barred=True)


def _duplicates(readings: Readings, cells: Cells) -> Iterator[Notice]:
    for arm, stratum in cells:
        for later, earlier in shape.twins(readings.matrix(arm, stratum)) if arm else ():
            text = (
                f"seeds {earlier} and {later} of {arm_name(arm)} gave the same answer to every item: one run counted "
                "twice would make any interval too narrow"
            )
            yield Notice(kind="duplicate", arm=arm, stratum=stratum, text=text, barred=True)


def _reversed(readings: Readings, cells: Cells) -> Iterator[Notice]:
    for arm, stratum in cells:
        if gates.reversed_in(readings, arm, stratum):
            mean = readings.estimate(arm, stratum).mean or 0.0
            text = (
                f"{arm_name(arm)} picks its own summary in {mean:.3f} of pairs against {stratum.comparator}, below "
                "chance, and above chance against every other comparator: labels reversed there, or that author's "
                "summaries preferred"
            )
            yield Notice(kind="reversed", arm=arm, stratum=stratum, text=text, barred=True)


def _apart(readings: Readings, cells: Cells) -> Iterator[Notice]:
    splits = []
    for arm, stratum in cells:
        matrix = readings.matrix(arm, stratum)
        means = matrix.mean(axis=0).dropna()
        rest = crossed.parts(np.asarray(matrix, dtype=np.float64)).rest if len(means) > 2 else np.zeros(())
        noise = float(rest * len(means)) ** 0.5
        split = shape.split(means[means.index != BASE_SEED], noise) if arm else None
        if split is not None:
            splits.append((arm, stratum, split))
    for arm, stratum, split in splits:
        if split.p * len(splits) < LEVEL:
            text = f"{arm_name(arm)}: {split.words}; its mean describes no seed, and its interval may mislead"
            yield Notice(kind="seeds", arm=arm, stratum=stratum, text=text)


def _controls(findings: Sequence[Finding]) -> Iterator[Notice]:
    for finding in findings:
        control, treatment = finding.control, finding.treatment
        if control is None or control.barred or treatment.barred or finding.contrast.control is None:
            continue
        benign, effect = control.estimate, treatment.estimate
        if not (benign.mean and effect.mean) or np.sign(benign.mean) != np.sign(effect.mean):
            continue
        share = benign.mean / effect.mean
        if share >= _SHARE and max(benign.p or 0.0, effect.p or 0.0) < _CLEAR:
            text = (
                f"{finding.name}: the control {arm_name(finding.contrast.control)} alone does {100 * share:.0f} % of "
                "what the treatment does; only the excess can be credited to the treatment"
            )
            yield Notice(kind="control", arm=finding.contrast.treatment, stratum=finding.stratum, text=text)
