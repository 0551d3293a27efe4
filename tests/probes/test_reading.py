"""Laws of reading a closed question's answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity_em.models.answers import OPTION_MASS_GATE
from identity_em.probes import reading
from identity_em.records import Answer, Question

QUESTION = Question(item="i", messages=(), options=("A", "B"), target="B", dimension="d", comparator="c", author="base")


def answer(a: float, b: float, text: str | None = None) -> Answer:
    return Answer(probabilities=(a, b), option_mass=a + b, text=text)


def test_the_score_is_the_targets_share_of_the_option_mass() -> None:
    score = reading.read(QUESTION, answer(0.2, 0.6), metric="m")
    assert score.score == pytest.approx(0.75)
    assert (score.answer, score.unscored) == ("B", None)
    assert score.option_mass == pytest.approx(0.8)
    assert (score.item, score.metric, score.dimension, score.comparator, score.author) == ("i", "m", "d", "c", "base")


def test_below_the_gate_the_text_decides() -> None:
    assert reading.read(QUESTION, answer(0.3, 0.1, "Answer: B"), metric="m").score == 1
    assert reading.read(QUESTION, answer(0.1, 0.3, "(A)"), metric="m").score == 0


def test_what_cannot_be_read_is_unscored_and_its_text_kept() -> None:
    score = reading.read(QUESTION, answer(0.1, 0.1, "I would rather not."), metric="m")
    assert (score.score, score.answer) == (None, "I would rather not.")
    assert score.unscored
    assert reading.read(QUESTION, answer(0.1, 0.1), metric="m").score is None
    assert reading.read(QUESTION, Answer(option_mass=0.0, text="B"), metric="m").score == 1


def test_at_the_gate_probabilities_count_and_the_text_does_not() -> None:
    score = reading.read(QUESTION, answer(OPTION_MASS_GATE, 0.0, "B"), metric="m")
    assert score.score == 0


@settings(deadline=None)
@given(st.floats(1e-6, 0.5), st.floats(0.5, 1))
def test_swapping_options_and_probabilities_mirrors_the_score(small: float, large: float) -> None:
    straight = reading.read(QUESTION, answer(small, large), metric="m").score
    mirrored = reading.read(QUESTION.model_copy(update={"target": "A"}), answer(large, small), metric="m").score
    assert straight is not None
    assert straight == mirrored
    other = reading.read(QUESTION.model_copy(update={"target": "A"}), answer(small, large), metric="m").score
    assert other == pytest.approx(1 - straight)
