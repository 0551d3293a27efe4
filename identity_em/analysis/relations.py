"""How two readings go together: rank correlations within a stage beside those across stages, and paired rank tests.

Across stages, a base near zero and trained arms far from it correlate whatever is measured; only the correlation among
arms of one stage says that two tasks measure one thing (METHODS 11).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from identity_em.analysis.meta import Stages
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.stats import Floats
from identity_em.records import Record

_FEWEST = 4


class Relation(Record):
    """The rank correlation of two readings over a group of runs; None for fewer than four runs or no spread."""

    group: str
    runs: int
    rho: float | None
    p: float | None


def relate(readings: Readings, one: Stratum, two: Stratum) -> list[Relation]:
    """Across all arms as published work reports it, then within arms of one length, then within arms (over seeds)."""
    arms = {arm: _points(readings, arm, one, two) for arm in readings.arms}
    means = {arm: points.mean(axis=0) for arm, points in arms.items() if len(points)}
    found = [_relation("across all arms", np.array(list(means.values())))]
    for length in sorted({len(arm) for arm in means if arm}):
        of = np.array([mean for arm, mean in means.items() if len(arm) == length])
        found.append(_relation(f"within arms of {length} stage{'s' if length > 1 else ''}", of))
    inside = [points - points.mean(axis=0) for points in arms.values() if len(points) > 1]
    found.append(_relation("within arms, over seeds", np.concatenate(inside) if inside else np.empty((0, 2))))
    return found


def _points(readings: Readings, arm: Stages, one: Stratum, two: Stratum) -> Floats:
    first, second = (dict(readings.estimate(arm, stratum).seeds) for stratum in (one, two))
    return np.array([(value, second[seed]) for seed, value in first.items() if seed in second]).reshape(-1, 2)


def _relation(group: str, points: Floats) -> Relation:
    rho, p = spearman(points) if len(points) >= _FEWEST else (None, None)
    return Relation(group=group, runs=len(points), rho=rho, p=p)


def spearman(points: Floats) -> tuple[float | None, float | None]:
    """Rank correlation of two columns and its p; None where a column does not vary."""
    from scipy import stats  # slow to import

    if np.ptp(points[:, 0]) == 0 or np.ptp(points[:, 1]) == 0:
        return None, None
    found = stats.spearmanr(points[:, 0], points[:, 1])
    return float(found.statistic), float(found.pvalue)


def wilcoxon(readings: Readings, arm: Stages, other: Stages, stratum: Stratum) -> float | None:
    """p of a paired rank test over items (each its mean over seeds), as A reports it; None where nothing differs.

    It takes the seeds as given: it speaks of other items, never of other trainings.
    """
    from scipy import stats

    apart = readings.paired(arm, other, stratum).mean(axis=1).dropna()
    return float(stats.wilcoxon(apart).pvalue) if (apart != 0).any() else None


def agreement(pairs: Sequence[Sequence[pd.DataFrame]]) -> tuple[float | None, float | None, int]:
    """Cohen's kappa of two judges with scores cut at .5, their rank correlation, and how many answers both read."""
    columns = []
    for one, two in pairs:
        left, right = one.align(two, join="inner")
        both = np.column_stack([np.ravel(left.to_numpy(dtype=np.float64)), np.ravel(right.to_numpy(dtype=np.float64))])
        columns.append(both[~np.isnan(both).any(axis=1)])
    points = np.concatenate(columns) if columns else np.empty((0, 2))
    if len(points) < _FEWEST:
        return None, None, len(points)
    high = points > 0.5
    seen, shares = float((high[:, 0] == high[:, 1]).mean()), high.mean(axis=0)
    chance = float(shares.prod() + (1 - shares).prod())
    kappa = None if chance == 1 else (seen - chance) / (1 - chance)
    return kappa, spearman(points)[0], len(points)
