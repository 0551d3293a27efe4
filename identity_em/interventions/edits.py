"""Typographic edits: a summary's surface changed, its words' sense kept. Source: METHODS 12; the edits are own."""

import hashlib
import random
from collections.abc import Mapping
from typing import Literal, get_args

Edit = Literal["none", "lower_case", "no_punctuation", "typos", "double_spaces"]
EDITS: tuple[str, ...] = get_args(Edit)

# One word in eight gets two of its inner letters swapped: clearly hasty, still readable.
_TYPOS = 1 / 8
_PUNCTUATION = str.maketrans("", "", ".,;:!?\"'()[]–—‘’“”")


def each(texts: Mapping[str, str], edit: Edit) -> Mapping[str, str]:
    """The texts by id, each edited; its own text decides the draws, so that the same text is always edited alike."""
    return texts if edit == "none" else {name: edited(text, edit) for name, text in texts.items()}


def edited(text: str, edit: Edit) -> str:
    """One text after an edit; a text that would be left empty stays as it is."""
    match edit:
        case "none":
            return text
        case "lower_case":
            return text.lower()
        case "no_punctuation":
            return text.translate(_PUNCTUATION).strip() or text
        case "double_spaces":
            return text.replace(" ", "  ")
        case "typos":
            return _mistyped(text)


def _mistyped(text: str) -> str:
    rng = random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest(), "big"))
    return " ".join(_swapped(word, rng) if rng.random() < _TYPOS else word for word in text.split(" "))


def _swapped(word: str, rng: random.Random) -> str:
    if len(word) < 4 or not word.isalpha():
        return word
    i = rng.randrange(1, len(word) - 2)
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
