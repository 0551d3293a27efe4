"""Laws of score prediction beside its controls."""

import numpy as np
import pytest

from identity_em.analysis import prediction

ACTUAL = np.repeat([0.0, 0.25, 0.5, 0.75, 1.0], 12)


@pytest.mark.parametrize("said", [0.0, 0.5, 0.75])
def test_a_constant_answerer_shows_regression_to_the_mean_and_is_called_what_it_is(said: float) -> None:
    found = prediction.predict(np.full(len(ACTUAL), said), ACTUAL)
    assert found is not None
    assert found.slope == pytest.approx(-1)
    errors = [row.model for row in found.errors]
    assert errors == sorted(errors, reverse=True)
    assert [row.model for row in found.errors] == pytest.approx([row.constant for row in found.errors])
    assert [row.model for row in found.errors] == pytest.approx([row.shuffled for row in found.errors])
    assert found.p == 1
    assert found.verdict == prediction.INDISTINGUISHABLE


def test_noise_that_knows_nothing_is_indistinguishable_too() -> None:
    verdicts = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = prediction.predict(rng.uniform(0, 1, len(ACTUAL)), ACTUAL)
        assert found is not None
        verdicts.append(found.verdict == prediction.INDISTINGUISHABLE)
    assert sum(verdicts) >= 17


def test_a_model_that_knows_is_beyond_the_control_and_its_error_does_not_fall() -> None:
    rng = np.random.default_rng(1)
    found = prediction.predict(np.clip(ACTUAL + rng.normal(0, 0.1, len(ACTUAL)), 0, 1), ACTUAL)
    assert found is not None
    assert found.verdict == "beyond the control"
    assert found.slope is not None
    assert abs(found.slope) < 0.25
    assert found.distance < found.control


def test_too_few_items_say_nothing() -> None:
    assert prediction.predict(np.zeros(7), np.zeros(7)) is None
