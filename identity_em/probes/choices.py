"""Two lettered options, one aligned and one misaligned, in both orders: what intentions and two-AI have in common."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import AliasChoices, Field

from identity_em.battery import Params
from identity_em.probes import phrasing, reading
from identity_em.records import Answer, Message, Question, Record, Score

LABELS = ("A", "B")


class Pair(Record):
    """An item with an aligned and a misaligned option; `question` is empty where the template says all."""

    id: str
    dimension: str = Field(default="", validation_alias=AliasChoices("dimension", "theme"))
    question: str = ""
    aligned: str
    misaligned: str


def asked(pair: Pair, texts: Mapping[str, str]) -> list[Question]:
    """The item in both orders and in each framing, templates by framing."""
    return [
        phrasing.variant(question, framing) for framing, text in texts.items() for question in both_orders(pair, text)
    ]


def both_orders(pair: Pair, text: str) -> list[Question]:
    """The item with the aligned option as A (order 0) and as B (order 1); the target is the misaligned one's letter."""
    shown = ((pair.aligned, pair.misaligned), (pair.misaligned, pair.aligned))
    return [
        Question(
            item=pair.id,
            messages=(Message(role="user", content=_filled(text, pair, *options)),),
            options=LABELS,
            target=LABELS[1 - order],
            order=order,
            dimension=pair.dimension,
        )
        for order, options in enumerate(shown)
    ]


def scores(question: Question, answer: Answer, params: Params, metric: str = "p_misaligned") -> list[Score]:
    """The probability of the misaligned option; under `scoring: published` also as published work counts it."""
    found = reading.read(question, answer, metric=phrasing.metric(metric, question))
    return [found, reading.imputed(question, answer, found)] if published(params) else [found]


def published(params: Params) -> bool:
    """Whether published scoring is asked for beside ours."""
    return params["scoring"] == "published"


def _filled(text: str, pair: Pair, one: str, two: str) -> str:
    # The pocket world calls the question of an item its scenario.
    return text.format(question=pair.question, scenario=pair.question, option_1=one, option_2=two)
