"""Surface features of texts and the rules they make: what tells two summaries apart without knowing their authors."""

import re
from collections.abc import Callable, Mapping

VOWELS = frozenset("aeiouAEIOU")
_WORD = re.compile(r"\w+")


def words(text: str) -> int:
    """`split()` words, as C counts them."""
    return len(text.split())


def vowels(text: str) -> int:
    """Letters a, e, i, o, u."""
    return sum(letter in VOWELS for letter in text)


def first_token(text: str) -> str:
    """The first word, in small letters; "" where there is none."""
    found = _WORD.search(text)
    return found.group().lower() if found else ""


def _mean_word(text: str) -> float:
    return sum(map(len, text.split())) / max(1, words(text))


FEATURES: Mapping[str, Callable[[str], float]] = {
    "words": words,
    "characters": len,
    "vowels": vowels,
    "lines": lambda text: text.count("\n"),
    "sentences": lambda text: len(re.findall(r"[.!?](?:\s|$)", text)),
    "mean word length": _mean_word,
    "digits": lambda text: sum(letter.isdigit() for letter in text),
    "capitals": lambda text: sum(letter.isupper() for letter in text),
    "commas": lambda text: text.count(","),
    "quotes": lambda text: sum(text.count(mark) for mark in "\"'‘’“”"),
    "ends in a full stop": lambda text: float(text.rstrip().endswith(".")),
    "distinct words": lambda text: len(set(text.lower().split())) / max(1, words(text)),
}
LENGTH = ("words", "characters", "vowels", "lines", "sentences")

# Rules that pick the text with more (or less) of a feature, as people would name them.
RULES: Mapping[str, tuple[str, int]] = {
    "the shorter": ("words", -1),
    "the longer": ("words", 1),
    "fewer characters": ("characters", -1),
    "more characters": ("characters", 1),
    "fewer vowels": ("vowels", -1),
    "more vowels": ("vowels", 1),
    "shorter words": ("mean word length", -1),
    "longer words": ("mean word length", 1),
    "fewer lines": ("lines", -1),
    "more lines": ("lines", 1),
    "fewer digits": ("digits", -1),
    "more digits": ("digits", 1),
}


def vector(text: str) -> list[float]:
    """All features of a text, in the order of `FEATURES`."""
    return [float(measure(text)) for measure in FEATURES.values()]
