"""The same difference by a mixed model of a kept library, to stand beside ours: seeds and items as crossed effects."""

import warnings
from typing import Final

import numpy as np
import pandas as pd

from identity_em.analysis.stats import Floats
from identity_em.records import Record

_BLOCKS: Final = 60


class CrossCheck(Record):
    """A mixed model's mean difference and standard error; `converged` as the library says."""

    mean: float
    se: float
    converged: bool


def cross_check(items: pd.DataFrame) -> CrossCheck | None:
    """Fit `difference ~ 1 + (1 | seed) + (1 | item)` by REML; None for fewer than two seeds or missing differences.

    A crossed model is dense in all answers at once, so items are first averaged in blocks of equal size, drawn with a
    fixed seed; the mean and its error stay what they are, up to the few items that fill no block.
    """
    values = np.asarray(items.dropna(), dtype=np.float64)
    if values.shape[1] < 2 or len(values) < _BLOCKS // 2 or not values.any():
        return None
    from statsmodels.formula.api import mixedlm  # slow to import
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    blocks = _blocks(values)
    # In units of their own spread: the library takes small variances for a boundary.
    unit = float(blocks.std()) or 1.0
    item, seed = (grid.ravel() for grid in np.indices(blocks.shape))
    rows = pd.DataFrame({"y": blocks.ravel() / unit, "item": item, "seed": seed, "all": 1})
    terms = {"item": "0 + C(item)", "seed": "0 + C(seed)"}
    # Nelder-Mead: two variances only, and near their boundary the gradient methods stop at errors ten times too wide.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told in `converged`
        fit = mixedlm("y ~ 1", rows, groups="all", vc_formula=terms, re_formula="0").fit(method="nm")
    mean, error = float(fit.fe_params["Intercept"]), float(fit.bse["Intercept"])
    return CrossCheck(mean=mean * unit, se=error * unit, converged=bool(fit.converged))


def _blocks(values: Floats) -> Floats:
    size = max(len(values) // _BLOCKS, 1)
    drawn = np.random.default_rng(0).permutation(len(values))[: len(values) // size * size]
    return np.asarray(values[drawn].reshape(-1, size, values.shape[1]).mean(axis=1), dtype=np.float64)
