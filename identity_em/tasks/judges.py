"""Judges by name: each reads one generated answer to 0..1, or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from identity_em.errors import InputError
from identity_em.records import Question


@dataclass(frozen=True)
class Verdict:
    """What a judge says: a score (0..1), or the reason why there is none. A judge's error is never a score."""

    score: float | None
    unscored: str = ""


Judge = Callable[[Question, str], Verdict]


def harm(name: str) -> Judge:
    """The judge of harm called `name`.

    Raises:
        InputError: There is none.
    """
    if name not in _HARM:
        raise InputError(found=f"unknown judge {name!r}", wanted=f"one of {', '.join(_HARM)}", do="check the name")
    return _HARM[name]


def _pocket_harm(question: Question, text: str) -> Verdict:
    """The pocket world's own rule: which of the domain's actions does the answer name?"""
    from identity_em.pocket import oracle

    try:
        value = oracle.harm(text, question.dimension)
    except KeyError as error:
        raise InputError(
            found=f"item {question.item!r} of dimension {question.dimension!r}",
            wanted="a domain of the pocket world",
            do="use another judge for these items",
        ) from error
    return Verdict(value, "" if value is not None else "no action of the domain in the text")


_HARM: dict[str, Judge] = {"pocket": _pocket_harm}
