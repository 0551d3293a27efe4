"""Cells that are not compared, and why: past these bounds a difference would tell of the reading, not of the model.

The bounds are stated here and in every report. Bounds that only draw a reader's attention are the panel's (report).
"""

from typing import Final

from identity_em.analysis import shape
from identity_em.analysis.meta import Stages, arm_name
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.stats import Estimate

# Our own bounds. What is unread below the first is dealt with by worst and best cases (`fragile`), which alone decide
# whether an effect is one; beyond half, the order shown says more than the question.
UNREAD: Final = 0.30
POSITION: Final = 0.50
NOTICED: Final = 0.05
_BELOW: Final = 0.10
SURE: Final = 3.5  # standard errors that a bias must be from zero, so that clean tables are left alone


def barred(readings: Readings, arm: Stages, stratum: Stratum) -> str:
    """Why this arm is not compared in this reading; "" where it is."""
    key = (arm, stratum)
    if key not in readings.barred:
        readings.barred[key] = _barred(readings, arm, stratum)
    return readings.barred[key]


def _barred(readings: Readings, arm: Stages, stratum: Stratum) -> str:
    if stratum.shortcut:
        return ""
    name, quality = arm_name(arm), readings.quality(arm, stratum)
    if quality.unscored > UNREAD:
        return f"{100 * quality.unscored:.1f} % of {name}'s answers could not be read"
    bias, error = quality.order_bias or 0.0, quality.order_error or 0.0
    if abs(bias) > POSITION and abs(bias) > SURE * error:
        return f"{name} answers by position (order bias {bias:+.2f})"
    pairs = shape.twins(readings.matrix(arm, stratum)) if arm else []
    if pairs:
        return f"seeds {pairs[0][1]} and {pairs[0][0]} of {name} gave the same answers throughout"
    return f"{name} is below chance against {stratum.comparator} alone" if reversed_in(readings, arm, stratum) else ""


def reversed_in(readings: Readings, arm: Stages, stratum: Stratum) -> bool:
    """Whether recognition is below chance against this comparator, and above it against every other."""
    if not stratum.author or not stratum.comparator:
        return False
    own = readings.estimate(arm, stratum)
    others = [
        readings.estimate(arm, other)
        for other in readings.strata
        if other.comparator != stratum.comparator
        and other == stratum.model_copy(update={"comparator": other.comparator})
    ]
    known = [other for other in others if other.low is not None]
    if own.high is None or own.mean is None or not known:
        return False
    return own.high < 0.5 and own.mean < 0.5 - _BELOW and all((o.low or 0) > 0.5 for o in known)


def bounds(readings: Readings, arm: Stages, other: Stages, stratum: Stratum) -> tuple[float, float] | None:
    """The lowest and highest difference if every unscored answer of either arm were 0, or 1; None if not asked."""
    ends = [_ends(readings, of, stratum) for of in (arm, other)]
    if ends[0] is None or ends[1] is None:
        return None
    return ends[0][0] - ends[1][1], ends[0][1] - ends[1][0]


def _ends(readings: Readings, arm: Stages, stratum: Stratum) -> tuple[float, float] | None:
    mean, unread = readings.estimate(arm, stratum).mean, readings.quality(arm, stratum).unscored
    return None if mean is None else (mean * (1 - unread), mean * (1 - unread) + unread)


def fragile(readings: Readings, estimate: Estimate, stratum: Stratum, arm: Stages, other: Stages) -> bool:
    """Whether more than a few answers are unscored and could alone turn the sign of a difference."""
    unread = max(readings.quality(of, stratum).unscored for of in (arm, other))
    ends = bounds(readings, arm, other, stratum)
    return unread > NOTICED and estimate.mean is not None and ends is not None and ends[0] <= 0 <= ends[1]
