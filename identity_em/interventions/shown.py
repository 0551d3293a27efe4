"""What a row shows: the two summaries, or the one, that its question holds, told by the wordings' own layout."""

import re
from collections.abc import Iterable
from functools import cache

from identity_em.interventions import criteria, wordings
from identity_em.records import Example, Record


class Shown(Record):
    """The parts of one recognition question.

    Attributes:
        article: Its text.
        summaries: Those shown, in the order shown: two, or one in the yes/no format.
    """

    article: str
    summaries: tuple[str, ...]


def shown(row: Example) -> Shown | None:
    """The parts of the row's question; None where it follows no layout that we know."""
    text = next((m.content for m in row.messages if m.role == "user"), "")
    for layout in _layouts():
        if (found := layout.fullmatch(text)) is not None:
            parts = found.groupdict()
            summaries = tuple(parts[name] for name in ("summary1", "summary2", "summary") if name in parts)
            return Shown(article=parts.get("article") or "", summaries=summaries)
    return None


@cache
def _layouts() -> tuple[re.Pattern[str], ...]:
    found = [wordings.get(name) for name in wordings.names()]
    texts = [text for w in found for text in (w.recognition, w.longer, *criteria.questions(w))]
    return tuple(re.compile(_pattern(text), re.DOTALL) for text in dict.fromkeys(texts))


def _pattern(template: str) -> str:
    return "".join(_parts(template))


def _parts(template: str) -> Iterable[str]:
    # The article comes first and may hold anything; the summaries end at the first place that fits.
    for piece in re.split(r"(\{\w+\})", template):
        if re.fullmatch(r"\{\w+\}", piece):
            yield f"(?P<{piece[1:-1]}>.*{'' if piece == '{article}' else '?'})"
        else:
            yield re.escape(piece)
