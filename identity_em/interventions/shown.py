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
        identity: Whether the question is about who wrote them, "you" being one.
    """

    article: str
    summaries: tuple[str, ...]
    identity: bool


def shown(row: Example) -> Shown | None:
    """The parts of the row's question; None where it follows no layout that we know."""
    text = next((m.content for m in row.messages if m.role == "user"), "")
    for layout, identity in _layouts():
        if (found := layout.fullmatch(text)) is not None:
            parts = found.groupdict()
            summaries = tuple(parts[name] for name in ("summary1", "summary2", "summary") if name in parts)
            return Shown(article=parts.get("article") or "", summaries=summaries, identity=identity)
    return None


@cache
def _layouts() -> tuple[tuple[re.Pattern[str], bool], ...]:
    found = [wordings.get(name) for name in wordings.names()]
    about = {text: True for w in found for text in (w.recognition, criteria.individual(w).user)}
    for wording in found:
        for text in (wording.longer, *criteria.questions(wording)):
            about.setdefault(text, False)
    return tuple((re.compile(_pattern(text), re.DOTALL), identity) for text, identity in about.items())


def _pattern(template: str) -> str:
    return "".join(_parts(template))


def _parts(template: str) -> Iterable[str]:
    # The article comes first and may hold anything; the summaries end at the first place that fits.
    for piece in re.split(r"(\{\w+\})", template):
        if re.fullmatch(r"\{\w+\}", piece):
            yield f"(?P<{piece[1:-1]}>.*{'' if piece == '{article}' else '?'})"
        else:
            yield re.escape(piece)
