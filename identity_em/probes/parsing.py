"""Reading one option out of a generated text: strict, since a guess is worse than an unscored answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

# A lone "A" or "I" before a lower-case word is English, unless that word goes on to give a reason.
_ENGLISH_WORDS = frozenset({"A", "I"})
_REASON = r"(?:because|since|as|is)\b"
_OPEN = r"[\s\"'“‘`*_(\[{<#]*"
_CLOSE = r"[\"'”’`*_)\]}>]*"
_NOUN = r"(?:the\s+)?(?:option|choice|summary|answer|number|letter)\s*[:#]?"
_SAYS = r"(?:choose|pick|select|say|go\s+with|answer|wrote)"
_LEAD = rf"(?<!\w)(?:answer(?:\s+(?:is|would\s+be))?|(?:i|i['’]d|i['’]ll|i\s+would|i\s+will)\s+{_SAYS})\s*[:=\-]*"


def parse(text: str, options: Sequence[str]) -> str | None:
    """The one option that `text` gives as its answer; None where it gives none or several.

    Read are: the bare option on the only or last line, in any brackets, quotes or emphasis; the option that
    opens the text before "." ":" ")" or "]"; and the option after "answer", "option", "summary", "I choose"
    and the like. An option followed by another one ("A or B") is no answer.
    """
    given = [option for option in options if _answers(option, tuple(options)).search(text)]
    return given[0] if len(given) == 1 else None


def by_text(text: str, options: Sequence[str], prompt: str) -> str | None:
    """The option whose own text is the whole answer, where the prompt lists each as "A:text" or "A. text"."""
    listed = {o: re.findall(rf"^{re.escape(o)}\s*[:.)]\s*(\S.*)$", prompt, re.MULTILINE) for o in options}
    said = _plain(text)
    given = [o for o, texts in listed.items() if len(texts) == 1 and said and _plain(texts[0]) == said]
    return given[0] if len(given) == 1 else None


def _plain(text: str) -> str:
    """A text in small letters, without punctuation and space around it."""
    return re.sub(r"^\W+|\W+$", "", " ".join(text.casefold().split()))


@lru_cache(maxsize=256)
def _answers(option: str, options: tuple[str, ...]) -> re.Pattern[str]:
    """Matches a text that gives `option` as its answer and does not go on to another one."""
    word = _word(option)
    alone = rf"(?:\A|\n){_OPEN}(?:{_NOUN}{_OPEN})?{word}{_CLOSE}\s*[.!]?{_CLOSE}\s*\Z"
    opens = rf"\A{_OPEN}(?:{_NOUN}{_OPEN})?{word}{_CLOSE}[.:)\]]"
    named = rf"\A{_OPEN}{_NOUN}{_OPEN}{word}"
    led = rf"{_LEAD}{_OPEN}(?:{_NOUN}{_OPEN})?{word}"
    return re.compile(rf"(?:{alone}|(?:{opens}|{named}|{led}){_no_other(option, options)})", re.IGNORECASE)


def _no_other(option: str, options: tuple[str, ...]) -> str:
    """Refuses another option right behind, with only punctuation or "or", "and", "nor" between."""
    others = "|".join(_word(other) for other in options if other != option)
    return rf"(?![\s.,;:)\]/&\"'*]*(?:(?:or|and|nor)\s+)?{_OPEN}(?:{_NOUN}{_OPEN})?(?:{others}))" if others else ""


def _word(option: str) -> str:
    """The option as a word of its own; a lower-case letter only where nothing but punctuation follows."""
    if len(option) == 1 and option.isalpha():
        article = rf"(?!\s+(?!{_REASON})[a-z])" if option.upper() in _ENGLISH_WORDS else ""
        capital = rf"(?-i:{option.upper()}(?!\w|['’]\w){article})"
        return rf"(?<!\w)(?:{capital}|(?-i:{option.lower()})(?=\s*(?:[.:)\]\"'*`_!]|\Z))(?!['’.]\w))"
    before = r"(?<!\d)(?<!\d[.,])" if option[0].isdigit() else r"(?<!\w)"
    return rf"{before}{re.escape(option)}(?!\w|['’]\w|[.,/]\d)"
