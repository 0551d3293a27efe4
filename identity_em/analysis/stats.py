"""Estimates with their uncertainty, from the tidy table.

Training seeds and items are crossed random factors (crossed.py): an interval speaks of other seeds and of other items
like these. Where there is one run only (the base, or a study of one seed) the interval is over items and says so; it
then tells nothing about other training runs. Unscored answers are in no mean; their share stands beside it.
"""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special  # scipy.stats is slow to import

from identity_em.analysis import crossed
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
        unit: What varies in the interval: training seeds (and items with them), or items of one run alone.
        n: How many of them.
        seeds: Mean of each seed; the seed is None for the base.
        items: How many items.
        se: Standard error of the mean; None where the interval does not rest on one.
        df: Its degrees of freedom.
        of_seeds: Standard deviation of the seeds' means; None for one run.
        of_items: The part of the error that more seeds would not take away.
    """

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    unit: Unit = "none"
    n: int = 0
    seeds: tuple[tuple[int | None, float], ...] = ()
    items: int = 0
    se: float | None = None
    df: float | None = None
    of_seeds: float | None = None
    of_items: float | None = None

    @property
    def spans_zero(self) -> bool:
        """Whether the interval holds zero; True where there is no interval."""
        return self.low is None or self.high is None or self.low <= 0 <= self.high

    @property
    def rests_on(self) -> str:
        """The uncertainty in words."""
        match self.unit:
            case "seeds":
                return f"{self.n} seeds × {self.items} items"
            case "items":
                runs = "one run" if len(self.seeds) <= 1 else f"{len(self.seeds)} seeds that agree exactly"
                return f"{self.n} items, {runs}"
            case _:
                return "no interval"

    @property
    def p(self) -> float | None:
        """Two-sided p that the mean is zero; None without a standard error."""
        if self.mean is None or self.se is None or self.df is None:
            return None
        return 1.0 if self.mean == 0 else 0.0 if self.se == 0 else 2 * _tail(-abs(self.mean) / self.se, self.df)

    @property
    def inner(self) -> tuple[float, float] | None:
        """The 90 % interval, which two one-sided tests at 5 % compare with a margin; None without a standard error."""
        if self.mean is None or self.se is None or self.df is None:
            return None
        half = float(special.stdtrit(min(self.df, 1e9), LEVEL)) * self.se
        return self.mean - half, self.mean + half

    @property
    def excluded(self) -> float | None:
        """The size from which on a difference is outside the 95 % interval, on either side; None without one."""
        return None if self.low is None or self.high is None else max(abs(self.low), abs(self.high))

    def equivalent(self, margin: float) -> bool:
        """Whether two one-sided tests at 5 % show the mean within +-margin of zero."""
        if self.mean is None or self.se is None or self.df is None:
            return False
        if self.se == 0:
            return abs(self.mean) < margin
        return _tail((abs(self.mean) - margin) / self.se, self.df) < (1 - LEVEL)


def _tail(t: float, df: float) -> float:
    """Probability below `t`; the normal's where the degrees of freedom have no end."""
    return float(special.stdtr(df, t) if np.isfinite(df) else special.ndtr(t))


def summarise(
    means: "pd.Series[float]",
    items: pd.DataFrame,
    *,
    difference: bool = False,
    parts: tuple[crossed.Parts, ...] | None = None,
) -> Estimate:
    """The mean over seeds with its interval, clipped to what a score (or a difference) can be, which loses no coverage.

    Args:
        means: One number per seed.
        items: Items x seeds behind them.
        difference: Whether these are differences (-1..1), not scores (0..1).
        parts: Variance parts, where the differences are not paired in both seeds and items.
    """
    if means.empty:
        return Estimate()
    by_seed = np.asarray(means, dtype=np.float64)
    by_item = np.asarray(items.mean(axis=1).dropna(), dtype=np.float64)
    seeds = _paired(means)
    # Seeds that agree to the last bit (a reading that asks no trained model) would give an interval of no width.
    if len(by_seed) > 1 and np.ptp(by_seed) > _EQUAL:
        values = np.asarray(items.reindex(columns=means.index), dtype=np.float64)
        return _over_seeds(by_seed, values, seeds, len(by_item), difference, parts)
    return _over_items(by_seed, by_item, seeds, difference)


def _over_seeds(
    by_seed: Floats,
    values: Floats,
    seeds: tuple[tuple[int | None, float], ...],
    items: int,
    difference: bool,
    parts: tuple[crossed.Parts, ...] | None,
) -> Estimate:
    if parts is None:
        parts = (crossed.parts(values)._replace(seed=np.asarray(by_seed.var(ddof=1) / len(by_seed))),)
    spread = crossed.spread(parts)
    mean, half = float(by_seed.mean()), float(spread.half(LEVEL))
    total, of_seeds = float(spread.se) ** 2, float(by_seed.std(ddof=1))
    return Estimate(
        mean=mean,
        low=max(mean - half, -1.0 if difference else 0.0),
        high=min(mean + half, 1.0),
        unit="seeds",
        n=len(by_seed),
        seeds=seeds,
        items=items,
        se=float(spread.se),
        df=float(spread.df),
        of_seeds=of_seeds,
        of_items=max(total - of_seeds**2 / len(by_seed), 0.0) ** 0.5,
    )


def apart(left: pd.DataFrame, right: pd.DataFrame, *, seeds: bool, items: bool) -> Estimate:
    """Mean of `left` less mean of `right` (items x seeds each), which do not share both seeds and items.

    Args:
        left: Axes in the same order as `right`'s where shared.
        seeds: Whether both have the same seeds.
        items: Whether both were asked the same items.
    """
    ours, theirs = (np.asarray(matrix, dtype=np.float64) for matrix in (left, right))
    means = left.mean(axis=0), right.mean(axis=0)
    spread = crossed.spread(crossed.apart(ours, theirs, seeds=seeds, items=items))
    mean, half = float(means[0].mean() - means[1].mean()), float(spread.half(LEVEL))
    runs = max(ours.shape[-1], theirs.shape[-1])
    count = min(len(left), len(right))
    return Estimate(
        mean=mean,
        low=max(mean - half, -1.0),
        high=min(mean + half, 1.0),
        unit="seeds" if runs > 1 else "items",
        n=runs if runs > 1 else count,
        seeds=_paired(means[0] - means[1]) if seeds else (),
        items=count,
        se=float(spread.se),
        df=float(spread.df),
    )


def _paired(means: "pd.Series[float]") -> tuple[tuple[int | None, float], ...]:
    labels = means.index.to_numpy(dtype=np.int64)
    return tuple((None if k == BASE_SEED else int(k), float(v)) for k, v in zip(labels, means, strict=True))


def _over_items(
    by_seed: Floats, by_item: Floats, seeds: tuple[tuple[int | None, float], ...], difference: bool
) -> Estimate:
    if len(by_item) < 2:
        return Estimate(mean=float(by_seed.mean()), seeds=seeds, items=len(by_item))
    binary = not difference and np.isin(by_item, (0.0, 1.0)).all()
    low, high = wilson(by_item) if binary else student(by_item)
    error = float(by_item.std(ddof=1)) / len(by_item) ** 0.5
    return Estimate(
        # Over items the mean is that of the items compared, so that it lies in its own interval.
        mean=float(by_item.mean()),
        low=max(low, -1.0 if difference else 0.0),
        high=min(high, 1.0),
        unit="items",
        n=len(by_item),
        seeds=seeds,
        items=len(by_item),
        se=error,
        df=len(by_item) - 1.0,
        of_items=error,
    )


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
