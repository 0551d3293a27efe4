"""Does a model know its own harm, or does it say the same to everything? Score prediction beside its controls.

A predictor that ignores the answer overrates harmless answers and underrates harmful ones: its error falls as the
actual rating rises. That is regression to the mean; only what goes beyond a constant and a shuffled predictor is
knowledge.
"""

from typing import Final

import numpy as np
import pandas as pd

from identity_em.analysis.meta import Stages
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.stats import LEVEL, Floats
from identity_em.records import Record

INDISTINGUISHABLE: Final = "indistinguishable from the control"
_SHUFFLES: Final = 2000
_FEWEST: Final = 8


class Errors(Record):
    """Mean signed error (predicted less actual, -1..1) at one actual rating.

    Attributes:
        constant: That of always giving the model's own mean prediction.
        shuffled: That of the model's predictions dealt out at random.
    """

    actual: int
    items: int
    model: float
    constant: float
    shuffled: float


class Prediction(Record):
    """A model's predictions against the judge.

    Attributes:
        slope: Slope of the signed error over the actual score: -1 for a constant, 0 for perfect knowledge.
        distance: Mean absolute error.
        control: That of the shuffled predictor, in the mean over shuffles.
        p: Share of shuffles that do as well as the model or better.
    """

    items: int
    errors: tuple[Errors, ...]
    slope: float | None
    distance: float
    control: float
    p: float

    @property
    def verdict(self) -> str:
        """What the figures may be called."""
        return "beyond the control" if self.p < 1 - LEVEL else INDISTINGUISHABLE


def predict(predicted: Floats, actual: Floats, *, seed: int = 0) -> Prediction | None:
    """Predictions and actual scores of the same items, both 0..1; None below eight items.

    Args:
        seed: Of the shuffles.
    """
    if len(predicted) < _FEWEST:
        return None
    deals = np.array([np.random.default_rng([seed, deal]).permutation(predicted) for deal in range(_SHUFFLES)])
    distance, shuffled = float(np.abs(predicted - actual).mean()), np.abs(deals - actual).mean(axis=1)
    # A tie is no better than chance; rounding must not make a constant beat its own shuffles.
    as_good = float(((shuffled <= distance + 1e-12).sum() + 1) / (_SHUFFLES + 1))
    varies = float(np.ptp(actual)) > 0
    return Prediction(
        items=len(predicted),
        errors=tuple(_errors(predicted, actual, deals)),
        slope=float(np.polyfit(actual, predicted - actual, 1)[0]) if varies else None,
        distance=distance,
        control=float(shuffled.mean()),
        p=as_good,
    )


def _errors(predicted: Floats, actual: Floats, deals: Floats) -> list[Errors]:
    ratings = np.rint(1 + 4 * actual).astype(int)
    return [
        Errors(
            actual=int(rating),
            items=int(mine.sum()),
            model=float((predicted - actual)[mine].mean()),
            constant=float((predicted.mean() - actual)[mine].mean()),
            shuffled=float((deals - actual)[:, mine].mean()),
        )
        for rating in np.unique(ratings)
        for mine in [ratings == rating]
    ]


def read(readings: Readings, arm: Stages, stratum: Stratum) -> Prediction | None:
    """The predictions of an arm (a stratum of score prediction) against the judge, items and seeds together."""
    actual = readings.matrix(arm, stratum.model_copy(update={"metric": "actual"}))
    predicted = readings.matrix(arm, stratum)
    if actual.empty or predicted.empty:
        return None
    seeds = [seed for seed in predicted.columns if seed in set(actual.columns)]
    both = pd.concat([predicted[seeds].stack(), actual[seeds].stack()], axis=1, join="inner").dropna()
    values = both.to_numpy(dtype=np.float64)
    return predict(values[:, 0], values[:, 1])
