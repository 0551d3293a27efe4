"""Many tests at once: Holm within a family of contrasts, Benjamini-Hochberg across families; power and seeds needed."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import special

from identity_em.analysis.stats import LEVEL, Estimate

POWER: Final = 0.8
_MOST: Final = 200


def holm(values: Sequence[float]) -> list[float]:
    """Adjusted p of a family, in the order given: at level a, at most a share a of families holds a false claim.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    order = np.argsort(values, kind="stable")
    steps = np.asarray(values, dtype=np.float64)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in adjusted]


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """Adjusted p in the order given: the share of false claims among those below it stays at or under it.

    Source: Benjamini and Hochberg 1995, "Controlling the false discovery rate".
    """
    order = np.argsort(values, kind="stable")[::-1]
    steps = np.asarray(values, dtype=np.float64)[order] * len(order) / np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.minimum.accumulate(steps), 1.0)
    return [float(value) for value in adjusted]


def power(effect: float, *, seeds: int, of_seeds: float, of_items: float) -> float:
    """The chance that an interval excludes zero where the true difference is `effect`.

    Args:
        seeds: How many training seeds.
        of_seeds: Standard deviation of the seeds' differences.
        of_items: The part of the standard error that seeds do not take away.
    """
    error = (of_seeds**2 / seeds + of_items**2) ** 0.5
    if error == 0 or seeds < 2:
        return float(error == 0 and effect != 0)
    # Few seeds give few degrees of freedom only as far as the seeds make the error.
    df = (seeds - 1) * (error**2 / max(of_seeds**2 / seeds, 1e-18)) ** 2 if of_seeds else 1e6
    t, shift = special.stdtrit(min(df, 1e6), (1 + LEVEL) / 2), abs(effect) / error
    if shift > 30:  # the noncentral t has no digits left there
        return 1.0
    return float(1 - special.nctdtr(min(df, 1e6), shift, t) + special.nctdtr(min(df, 1e6), shift, -t))


def seeds_needed(effect: float, estimate: Estimate) -> int | None:
    """The fewest seeds that find `effect` with 80 % power, as far as this estimate's spread holds; None past 200."""
    if estimate.of_seeds is None or estimate.of_items is None:
        return None
    enough = (
        seeds
        for seeds in range(2, _MOST + 1)
        if power(effect, seeds=seeds, of_seeds=estimate.of_seeds, of_items=estimate.of_items) >= POWER
    )
    return next(enough, None)
