"""Laws of probes of activations."""

import numpy as np
import pytest

from identity_em.analysis import directions
from identity_em.errors import DataError

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1], 60)
TRUE = RNG.normal(size=24)
TRUE /= np.linalg.norm(TRUE)


def planted(size: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(len(LABELS), len(TRUE)))
    return noise + size * np.outer(LABELS - 0.5, TRUE)


def test_a_planted_direction_is_found_above_the_shuffled_control_and_only_where_it_is() -> None:
    nothing, there = directions.sweep(np.stack([planted(0), planted(5)]), LABELS, layers=[3, 7])
    assert (nothing.layer, there.layer) == (3, 7)
    assert there.accuracy > 0.9
    assert there.accuracy > there.shuffled + 0.25
    assert abs(nothing.accuracy - nothing.shuffled) < 0.2
    assert len(there.folds) == 5


def test_probe_and_mean_difference_point_the_way_that_was_planted() -> None:
    for find in (directions.direction, directions.mean_difference):
        assert directions.cosine(find(planted(5), LABELS), TRUE) > 0.8
        assert directions.cosine(find(planted(5), 1 - LABELS), TRUE) < -0.8


def test_a_probe_transfers_to_a_task_of_the_same_direction_and_not_to_another() -> None:
    other = planted(0, 5) + 5 * np.outer(LABELS - 0.5, np.roll(TRUE, 1) - TRUE * (TRUE @ np.roll(TRUE, 1)))
    assert directions.transfer((planted(5), LABELS), (planted(5, 2), LABELS)) > 0.9
    assert directions.transfer((planted(5), LABELS), (planted(-5, 2), LABELS)) < 0.1
    assert 0.3 < directions.transfer((planted(5), LABELS), (other, LABELS)) < 0.7


def test_the_same_arrays_give_the_same_figures() -> None:
    arrays = planted(1)[None]
    assert directions.sweep(arrays, LABELS) == directions.sweep(arrays, LABELS)


@pytest.mark.parametrize("labels", [np.zeros(20, int), np.array([0] * 16 + [1] * 4)])
def test_too_few_of_a_label_is_one_clear_line(labels: np.ndarray) -> None:
    with pytest.raises(DataError, match="two labels"):
        directions.sweep(np.zeros((1, 20, 3)), labels)
