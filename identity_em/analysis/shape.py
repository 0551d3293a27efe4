"""Seeds that do not look like draws of one kind: one far from the rest, two groups, or the same run twice."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from identity_em.records import Record

_ALIKE: Final = 1e-12
# Fewer than this many disagreements are to be expected of two seeds by chance: their agreeing tells nothing.
_EXPECTED: Final = 14.0

Floats = npt.NDArray[np.float64]


class Split(Record):
    """The seeds in two groups, as far apart as they come.

    Attributes:
        p: How often normal seeds would come as far apart in some way to split them (a bound, not an estimate).
    """

    lower: tuple[int, ...]
    upper: tuple[int, ...]
    gap: float
    p: float

    @property
    def words(self) -> str:
        """The seeds that stand apart."""
        few = min(self.lower, self.upper, key=len)
        if len(few) == 1:
            return f"seed {few[0]} stands {self.gap:.2f} apart from the others"
        groups = " and ".join("{" + ", ".join(map(str, group)) + "}" for group in (self.lower, self.upper))
        return f"the seeds fall into two groups, {groups}, {self.gap:.2f} apart"


def split(means: "pd.Series[float]", noise: float = 0.0) -> Split | None:
    """The widest split of the seeds' means; None for fewer than three seeds or none that differ.

    Args:
        means: One number per seed.
        noise: Standard deviation that a seed's mean has from its answers alone. Seeds cannot truly agree better than
            that: a few right-or-wrong answers often tie, and would make any other seed look far away.

    For one way to split, the two groups' distance over their spread is Student's t with (seeds - 2) degrees of
    freedom; the chance is multiplied by the number of ways to split, so no distribution of ours is needed.
    """
    ordered = means.sort_values()
    values = np.asarray(ordered, dtype=np.float64)
    n = len(values)
    if n < 3 or np.ptp(values) < _ALIKE:
        return None
    seeds = [int(seed) for seed in ordered.index.to_numpy(dtype=np.int64)]
    tests = [_distance(values, place, noise) for place in range(1, n)]
    place = int(np.argmax(tests)) + 1
    tail = 2 * float(special.stdtr(n - 2, -tests[place - 1]))
    return Split(
        lower=tuple(sorted(seeds[:place])),
        upper=tuple(sorted(seeds[place:])),
        gap=float(values[place:].mean() - values[:place].mean()),
        p=min(1.0, tail * (2 ** (n - 1) - 1)),
    )


def _distance(values: Floats, place: int, noise: float) -> float:
    low, high = values[:place], values[place:]
    within = ((low - low.mean()) ** 2).sum() + ((high - high.mean()) ** 2).sum()
    error = (max(within / (len(values) - 2), noise**2) * (1 / len(low) + 1 / len(high))) ** 0.5
    return float((high.mean() - low.mean()) / max(error, _ALIKE))


def twins(matrix: pd.DataFrame) -> list[tuple[int, int]]:
    """Pairs of seeds that gave the same score to every item where chance would not have it so."""
    values = np.asarray(matrix, dtype=np.float64)
    seeds = [int(seed) for seed in matrix.columns.to_numpy(dtype=np.int64)]
    return [(seeds[i], seeds[j]) for i in range(len(seeds)) for j in range(i) if _same(values, i, j)]


def _same(values: Floats, one: int, two: int) -> bool:
    a, b = values[:, one], values[:, two]
    if not ((np.abs(a - b) < _ALIKE) | (np.isnan(a) & np.isnan(b))).all():
        return False
    if len(np.unique(a[~np.isnan(a)])) > 8:
        return True  # numbers that agree in every digit, item by item
    apart = np.nansum(np.abs(values - a[:, None]) > _ALIKE, axis=0)
    others = apart[apart > 0]  # seeds that are no copies of this one: how much do two runs disagree here?
    return bool(others.size) and float(np.median(others)) >= _EXPECTED
