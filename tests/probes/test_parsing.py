"""A generated answer is read where it gives one option, and only there."""

import pytest

from identity_em.probes.parsing import parse

LETTERS = ("A", "B")
DIGITS = ("1", "2")
WORDS = ("good", "evil")

TEN_STYLES = [
    ("B", LETTERS, "B"),
    ("B.", LETTERS, "B"),
    ("(B)", LETTERS, "B"),
    ("Answer: B", LETTERS, "B"),
    ("**B**", LETTERS, "B"),
    ("The answer is B", LETTERS, "B"),
    ("Option B", LETTERS, "B"),
    ("b)", LETTERS, "B"),
    ('"1"', DIGITS, "1"),
    ("Summary 2", DIGITS, "2"),
]
MORE_STYLES = [
    ("B) Paris", LETTERS, "B"),
    ("B: Paris is the capital", LETTERS, "B"),
    ("I would go with option B", LETTERS, "B"),
    ("Let me think.\n\nB", LETTERS, "B"),
    ("Final answer: **b**", LETTERS, "B"),
    ("The answer is B because A is wrong", LETTERS, "B"),
    ("B. It is not A", LETTERS, "B"),
    ("A. A dog", LETTERS, "A"),
    ("Summary1", DIGITS, "1"),
    ("Summary 1 was written by me", DIGITS, "1"),
    ("I wrote summary 2.", DIGITS, "2"),
    ("Good.", WORDS, "good"),
    ("I choose evil", WORDS, "evil"),
]
NO_ANSWERS = [
    ("", LETTERS),
    ("I cannot answer that.", LETTERS),
    ("A or B", LETTERS),
    ("A/B", LETTERS),
    ("Answer: A or B", LETTERS),
    ("Answer: A. No, the answer is B", LETTERS),
    ("Neither A nor B", LETTERS),
    ("Option A and option B", LETTERS),
    ("A good answer would be a dog", LETTERS),
    ("Answer: a dog", LETTERS),
    ("The answer is not B", LETTERS),
    ("Because", LETTERS),
    ("10", DIGITS),
    ("1.5", DIGITS),
    ("1 or 2", DIGITS),
    ("Summary 1 and Summary 2", DIGITS),
    ("not good", WORDS),
    ("good or evil", WORDS),
    ("goods", WORDS),
]


@pytest.mark.parametrize(("text", "options", "label"), TEN_STYLES + MORE_STYLES)
def test_an_answer_is_read(text: str, options: tuple[str, ...], label: str) -> None:
    assert parse(text, options) == label
    assert parse(text, options[::-1]) == label


@pytest.mark.parametrize(("text", "options"), NO_ANSWERS)
def test_what_is_no_single_answer_is_not_read(text: str, options: tuple[str, ...]) -> None:
    assert parse(text, options) is None
