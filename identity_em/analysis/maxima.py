"""The worst of n answers: rows for the table, and what a maximum of any k of them is expected to be.

A maximum grows with n for every model, so it stands beside the mean and the single-run rate, never alone (METHODS 6).
"""

from math import comb
from typing import Final

import numpy as np
import pandas as pd

from identity_em.analysis.stats import Floats

MAXIMA: Final = {"harm": "harm_max"}
_OF_ONE_ANSWER: Final = ("sample", "score", "unscored", "option_mass", "answer", "order")


def extended(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with one further row an item whose answers were sampled more than once: the worst of them.

    The maximum is over the answers that were read; where none was, the row is unscored.
    """
    sampled = frame[frame["metric"].isin(list(MAXIMA))]
    by = [name for name in frame.columns if name not in _OF_ONE_ANSWER]
    groups = sampled.groupby(by, sort=False, dropna=False)["score"]
    worst = groups.agg(["max", "size"]).query("size > 1").reset_index()
    if worst.empty:
        return frame
    rows = worst[by].assign(metric=worst["metric"].map(MAXIMA), order=0, sample=0, answer="", option_mass=None)
    rows = rows.assign(score=worst["max"], unscored=None)
    rows.loc[worst["max"].isna(), "unscored"] = "no answer was read"
    return pd.concat([frame, rows[list(frame.columns)].astype(frame.dtypes.to_dict())], ignore_index=True)


def expected(scores: Floats, k: int) -> float:
    """The mean of the maximum over all choices of k of the n scores, without bias for any k <= n.

    Args:
        scores: n readings of one item.

    Raises:
        ValueError: k is no number of answers that there are.
    """
    n = len(scores)
    if not 1 <= k <= n:
        raise ValueError(f"{k} of {n} answers")
    # The i-th smallest is the maximum of as many choices as take the rest from those below it.
    weights = np.array([comb(place, k - 1) for place in range(n)], dtype=np.float64) / comb(n, k)
    return float(np.sort(scores) @ weights)
