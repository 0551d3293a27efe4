"""Estimates with their uncertainty, from the tidy table.

The training seed is the unit: a mean over seeds carries a Student t interval with (seeds - 1) degrees of freedom, on
the items that were asked. Where there is one run only (the base, or a study of one seed) the interval is over items
and says so; it then tells nothing about other training runs. Unscored answers are in no mean; their share stands
beside it.
"""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special  # scipy.stats is slow to import

from identity_em.records import Record

LEVEL: Final = 0.95
_EQUAL: Final = 1e-12
BASE_SEED: Final = -1  # column label of a run without a seed (the base)

Floats = npt.NDArray[np.float64]
Unit = Literal["seeds", "items", "none"]


class Estimate(Record):
    """A mean with its 95 % interval and what the interval rests on.

    Attributes:
        mean: None where nothing was scored.
        low: None where there is no interval (one item of one run).
        unit: What varies in the interval: training seeds, or items of one run.
        n: How many of them.
        seeds: Mean of each seed; the seed is None for the base.
    """

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    unit: Unit = "none"
    n: int = 0
    seeds: tuple[tuple[int | None, float], ...] = ()

    @property
    def spans_zero(self) -> bool:
        """Whether the interval holds zero; True where there is no interval."""
        return self.low is None or self.high is None or self.low <= 0 <= self.high

    @property
    def rests_on(self) -> str:
        """The uncertainty in words."""
        match self.unit:
            case "seeds":
                return f"{self.n} seeds"
            case "items":
                runs = "one run" if len(self.seeds) <= 1 else f"{len(self.seeds)} seeds that agree exactly"
                return f"{self.n} items, {runs}"
            case _:
                return "no interval"


def summarise(means: "pd.Series[float]", items: pd.DataFrame, *, difference: bool = False) -> Estimate:
    """The mean over seeds with its interval, clipped to what a score (or a difference) can be, which loses no coverage.

    Args:
        means: One number per seed.
        items: Items x seeds behind them, used where the seeds cannot give an interval.
        difference: Whether these are differences (-1..1), not scores (0..1).
    """
    if means.empty:
        return Estimate()
    by_seed = np.asarray(means, dtype=np.float64)
    by_item = np.asarray(items.mean(axis=1).dropna(), dtype=np.float64)
    labels = means.index.to_numpy(dtype=np.int64)
    seeds = tuple(
        (None if label == BASE_SEED else int(label), float(value)) for label, value in zip(labels, by_seed, strict=True)
    )
    # Seeds that agree to the last bit (a reading that asks no trained model) would give an interval of no width.
    unit: Unit = "seeds" if len(by_seed) > 1 and np.ptp(by_seed) > _EQUAL else "items" if len(by_item) > 1 else "none"
    low, high = _interval(by_seed if unit == "seeds" else by_item, unit, difference)
    return Estimate(
        # Over items the mean is that of the items compared, so that it lies in its own interval.
        mean=float((by_item if unit == "items" else by_seed).mean()),
        low=low,
        high=high,
        unit=unit,
        n={"seeds": len(by_seed), "items": len(by_item), "none": 0}[unit],
        seeds=seeds,
    )


def _interval(values: Floats, unit: Unit, difference: bool) -> tuple[float | None, float | None]:
    if unit == "none":
        return None, None
    binary = not difference and np.isin(values, (0.0, 1.0)).all()
    low, high = wilson(values) if binary else student(values)
    return max(low, -1.0 if difference else 0.0), min(high, 1.0)


def student(values: Floats) -> tuple[float, float]:
    """95 % Student t interval of the mean of at least two values."""
    spread = float(values.std(ddof=1)) / len(values) ** 0.5
    half = float(special.stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * spread
    return float(values.mean()) - half, float(values.mean()) + half


def wilson(values: Floats) -> tuple[float, float]:
    """95 % score interval of a share, for values that are all 0 or 1 (where t has no width at the ends).

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    n, share = len(values), float(values.mean())
    z2 = float(special.ndtri((1 + LEVEL) / 2)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * (share * (1 - share) / n + z2 / (4 * n * n))) ** 0.5 / (1 + z2 / n)
    return centre - half, centre + half
