"""Directions in activations: linear probes of behaviour and of self-assessment, and whether one is the other.

Every figure stands beside a probe of shuffled labels, since a probe in many dimensions fits anything; accuracy is
always that of held-out folds.

Source: METHODS 10 (B: two linear probes a checkpoint, 5-fold stratified, seed 42; cosine; transfer; layers are swept).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from identity_em.analysis.probed import Layer, Pair
from identity_em.analysis.stats import Floats
from identity_em.errors import DataError

FOLDS: Final = 5
SEED: Final = 42
_STEPS: Final = 2000

Labels = npt.NDArray[np.int64]
Set = tuple[Floats, Labels]


def sweep(activations: Floats, labels: Labels, layers: Sequence[int] | None = None) -> list[Layer]:
    """A probe at each layer, beside its shuffled control.

    Args:
        activations: Shape (L, N, H); a memory map is read layer by layer.
        labels: 0 or 1, shape (N,).
        layers: The layers' own numbers, L of them; counted from 0 by default.

    Raises:
        DataError: Too few prompts of a label for the folds.
    """
    _enough(labels)
    dealt = np.random.default_rng(SEED).permutation(labels)
    found = []
    for place, number in enumerate(range(len(activations)) if layers is None else layers):
        here = np.asarray(activations[place], dtype=np.float64)
        folds, control = _crossed(here, labels), _crossed(here, dealt)
        found.append(
            Layer(layer=number, accuracy=float(folds.mean()), folds=tuple(folds), shuffled=float(control.mean()))
        )
    return found


def direction(activations: Floats, labels: Labels) -> Floats:
    """The unit vector along which a probe of one layer, shape (N, H), tells label 1 from label 0."""
    probe = _probe().fit(activations, labels)
    # The probe saw standardised features: undone, so that directions of different checkpoints can be compared.
    weights = probe[-1].coef_[0] / probe[0].scale_
    return _unit(np.asarray(weights, dtype=np.float64))


def mean_difference(activations: Floats, labels: Labels) -> Floats:
    """The unit vector from the mean of label 0 to that of label 1, shape (H,)."""
    return _unit(activations[labels == 1].mean(axis=0) - activations[labels == 0].mean(axis=0))


def cosine(one: Floats, other: Floats) -> float:
    """-1 to 1; in H dimensions two random directions have about 0 +- 1 / sqrt(H)."""
    return float(_unit(one) @ _unit(other))


def transfer(of: tuple[Floats, Labels], to: tuple[Floats, Labels]) -> float:
    """Accuracy on one task (or checkpoint) of a probe trained on another, 0..1; .5 is chance for balanced labels."""
    return float(_probe().fit(*of).score(*to))


def pairs(harm: Set, claims: Set, first: Set) -> tuple[Pair, ...]:
    """Both probes at each layer.

    Args:
        harm: Activations, shape (L, N, H), and labels, shape (N,).
        claims: Likewise.
        first: The harm set in the activations of the checkpoint compared with.

    Raises:
        DataError: Too few prompts of a label.
    """
    swept = zip(sweep(*harm), sweep(*claims), strict=True)
    return tuple(
        _pair(layers, *(_at(given, place) for given in (harm, claims, first))) for place, layers in enumerate(swept)
    )


def _pair(layers: tuple[Layer, Layer], harm: Set, claims: Set, first: Set) -> Pair:
    return Pair(
        harm=layers[0],
        claims=layers[1],
        cosine=cosine(direction(*harm), direction(*claims)),
        cosine_means=cosine(mean_difference(*harm), mean_difference(*claims)),
        harm_to_claims=transfer(harm, claims),
        claims_to_harm=transfer(claims, harm),
        from_first=transfer(first, harm),
    )


def _at(given: Set, layer: int) -> Set:
    return np.asarray(given[0][layer], dtype=np.float64), given[1]


def _probe() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=_STEPS, random_state=SEED))


def _crossed(activations: Floats, labels: Labels) -> Floats:
    folds = StratifiedKFold(n_splits=FOLDS, shuffle=True, random_state=SEED)
    return np.asarray(cross_val_score(_probe(), activations, labels, cv=folds), dtype=np.float64)


def _unit(vector: Floats) -> Floats:
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


def _enough(labels: Labels) -> None:
    values, counts = np.unique(labels, return_counts=True)
    if len(values) != 2 or counts.min() < FOLDS:
        told = ", ".join(f"{count} of label {value}" for value, count in zip(values, counts, strict=True))
        raise DataError(
            found=told or "no prompts", wanted=f"two labels, at least {FOLDS} prompts of each", do="ask more prompts"
        )
