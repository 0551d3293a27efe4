"""What the value of a parameter may be: in the words of an error, and as a rule."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeGuard


@dataclass(frozen=True)
class Value:
    """What a parameter may be.

    Attributes:
        words: As an error says it after "wanted".
        fits: Whether a value, as YAML gives it, is that.
    """

    words: str
    fits: Callable[[object], bool]


def one_of(*names: str) -> Value:
    """One of these names."""
    return Value(" or ".join(names), lambda value: value in names)


def some_of(names: Iterable[str]) -> Value:
    """One of these names, or a list of them."""
    known = tuple(names)
    return Value(
        f"one or several of {', '.join(known)}",
        lambda value: value in known if isinstance(value, str) else _list(value) and all(v in known for v in value),
    )


def or_null(value: Value, meaning: str) -> Value:
    """`value`, or null, which means `meaning`."""
    return Value(f"{value.words}, or null for {meaning}", lambda given: given is None or value.fits(given))


def whole(least: int | None = None) -> Value:
    """A whole number; true and false are none."""
    words = "a whole number" if least is None else f"a whole number of at least {least}"
    return Value(words, lambda value: type(value) is int and (least is None or value >= least))


def number(*, above: float | None = None, least: float | None = None, most: float | None = None) -> Value:
    """A number within bounds, whole or not; true and false are none."""
    bounds = (("above", above), ("of at least", least), ("of at most", most))
    said = " and ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)

    def fits(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return (
            (above is None or value > above) and (least is None or value >= least) and (most is None or value <= most)
        )

    return Value(f"a number {said}".strip(), fits)


def _list(value: object, least: int = 1) -> TypeGuard[list[object] | tuple[object, ...]]:
    return isinstance(value, list | tuple) and len(value) >= least


def _texts(value: object, least: int = 1) -> TypeGuard[list[str] | tuple[str, ...]]:
    return _list(value, least) and all(isinstance(text, str) for text in value)


TEXT = Value("a text", lambda value: isinstance(value, str))
TEXTS = Value("a list of texts, at least one", _texts)
TEXT_OR_TEXTS = Value("a name, or a list of at least one", lambda value: isinstance(value, str) or _texts(value))
ARM = Value("an arm: a list of stages, [] for the base", lambda value: _texts(value, 0))
AUTHOR_LIST = Value("a list of authors, at least one, arms as [STAGE, ...]", _list)
SOURCE = Value(
    "a file's name, {file: NAME} or {hub: NAME, revision: COMMIT}", lambda value: isinstance(value, str | dict)
)
MAPPING = Value("a mapping", lambda value: isinstance(value, dict))
# Of items, articles or answers: the first so many.
LIMIT = or_null(whole(1), "all")
# Sampled answers to each closed question, half to each order of its options.
SAMPLE = Value("an even whole number of at least 2", lambda value: type(value) is int and value >= 2 and value % 2 == 0)
# Whether published scoring or a published protocol is asked for beside or instead of ours.
PUBLISHED = one_of("ours", "published")
# Of the cosine between texts' weights of words, none of which is negative.
DISTANCE = number(above=0, most=1)
