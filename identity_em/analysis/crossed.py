"""Training seeds and items as crossed random factors: how far a mean, or a difference of two, may be off.

A mean over S seeds and I items varies with the seeds drawn, the items drawn, and what is left. Each part is estimated
from the means that it moves; the residual is in both and is taken off once. The total is never less than either part
alone. Its degrees of freedom are those of the seeds, over the share of the total that the seeds make: fewer than
Satterthwaite's, whose square of that share was too bold with five seeds (reports/calibration.md).

Every function takes leading axes as replicates, so that the calibration runs the code that the report runs.

Source: the variance of a mean in a balanced crossed random-effects layout; Satterthwaite 1946, "An approximate
distribution of estimates of variance components".
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special  # scipy.stats is slow to import

Floats = npt.NDArray[np.float64]


class Parts(NamedTuple):
    """The parts of a mean's variance; arrays over replicates.

    Attributes:
        seed: From the spread of the seeds' means; zero for a single run.
        item: From the spread of the items' means.
        rest: The residual, which is in both of the others.
        seed_df: Degrees of freedom of `seed`; 0 for a single run.
    """

    seed: Floats
    item: Floats
    rest: Floats
    seed_df: float
    item_df: float


class Spread(NamedTuple):
    """The standard error of a mean and its degrees of freedom."""

    se: Floats
    df: Floats

    def half(self, level: float) -> Floats:
        """Half the width of the interval that holds the mean with probability `level`."""
        return np.asarray(special.stdtrit(self.df, (1 + level) / 2) * self.se, dtype=np.float64)


def parts(values: Floats) -> Parts:
    """The variance parts of the mean of `values` (..., items, seeds); NaN where there was no score."""
    there = ~np.isnan(values)
    by_seed, by_item = _mean(values, there, -2), _mean(values, there, -1)
    items = (~np.isnan(by_item)).sum(axis=-1)
    seeds = values.shape[-1]
    item = _variance(by_item) / np.maximum(items, 1)
    nothing = np.zeros_like(item)
    if seeds < 2:
        return Parts(seed=nothing, item=item, rest=nothing, seed_df=0.0, item_df=float(np.min(items)) - 1)
    grand = _mean(by_seed, ~np.isnan(by_seed), -1)[..., None, None]
    residual = values - by_seed[..., None, :] - by_item[..., :, None] + grand
    count = there.sum(axis=(-2, -1))
    free = np.maximum(count - seeds - items + 1, 1)
    rest = np.nansum(residual**2, axis=(-2, -1)) / free / np.maximum(count, 1)
    return Parts(
        seed=_variance(by_seed) / seeds, item=item, rest=rest, seed_df=seeds - 1.0, item_df=float(np.min(items)) - 1
    )


def apart(left: Floats, right: Floats, *, seeds: bool, items: bool) -> tuple[Parts, ...]:
    """The parts of mean(left) less mean(right), where the two share only some of what they were made with.

    Args:
        left: Items x seeds (leading axes as replicates); likewise `right`, with axes in the same order where shared.
        seeds: Whether both have the same seeds.
        items: Whether both were asked the same items.
    """
    if seeds and items:
        return (parts(left - right),)
    ours, theirs = parts(left), parts(right)
    if not seeds and not items:
        return ours, theirs
    if seeds:  # what a seed does to both is in the difference of its means
        of_seeds = np.nanmean(left, axis=-2) - np.nanmean(right, axis=-2)
        paired = ours._replace(seed=_variance(of_seeds) / of_seeds.shape[-1], rest=ours.rest + theirs.rest)
        return paired, theirs._replace(seed=np.zeros_like(theirs.seed), rest=np.zeros_like(theirs.rest), seed_df=0.0)
    of_items = np.nanmean(left, axis=-1) - np.nanmean(right, axis=-1)
    shared = ours._replace(item=_variance(of_items) / of_items.shape[-1])
    return shared, theirs._replace(item=np.zeros_like(theirs.item))


def spread(of: tuple[Parts, ...]) -> Spread:
    """The standard error that the parts give together."""
    seed, item, rest = (np.sum([getattr(p, name) for p in of], axis=0) for name in ("seed", "item", "rest"))
    total = np.maximum(seed + item - rest, np.maximum(seed, item))
    of_seeds = sum((p.seed**2 / p.seed_df for p in of if p.seed_df > 0), start=np.zeros_like(total))
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(of_seeds > 0, seed**2 / of_seeds, np.inf) / np.minimum(seed / total, 1.0)
    if not any(p.seed_df > 0 for p in of):
        df = np.full_like(total, max(min(p.item_df for p in of), 1.0))
    return Spread(se=np.sqrt(total), df=np.where(np.isnan(df), np.inf, df))


def _mean(values: Floats, there: npt.NDArray[np.bool_], axis: int) -> Floats:
    count = there.sum(axis=axis)
    total = np.where(there, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _variance(means: Floats) -> Floats:
    """Unbiased variance along the last axis, NaN left out; zero where fewer than two are there."""
    there = ~np.isnan(means)
    count = there.sum(axis=-1)
    centre = np.where(there, means, 0.0).sum(axis=-1) / np.maximum(count, 1)
    squares = np.where(there, (means - centre[..., None]) ** 2, 0.0).sum(axis=-1)
    return np.asarray(squares / np.maximum(count - 1, 1), dtype=np.float64)
