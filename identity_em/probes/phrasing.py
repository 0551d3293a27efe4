"""The words around an item: the eval's own, or those that the pocket world was taught; and ways to frame a question.

A framing changes the words with item and weights fixed. It is a reading of its own, never pooled with the plain one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

import yaml

from identity_em.battery import INSTRUMENT, Metric, Params
from identity_em.errors import InputError
from identity_em.probes.items import wording
from identity_em.records import Message, Question
from identity_em.resources import resource
from identity_em.values import Value, some_of

# The question as it is: the one that headline figures are read from.
PLAIN = "plain"


def templates(eval_name: str, params: Params) -> dict[str, str]:
    """The templates of an eval by framing, those that `params` asks for; in the pocket world's words for its items.

    Raises:
        InputError: There is no such framing.
    """
    own = wording(eval_name)
    known = {PLAIN: pocket(eval_name) if of_pocket(params) else own.user}
    return chosen(known if of_pocket(params) else known | own.framings, params)


def pocket(name: str) -> str:
    """The pocket world's template called `name`."""
    from identity_em.pocket.prompts import PROMPTS

    return str(getattr(PROMPTS, name))


def of_pocket(params: Params) -> bool:
    """Whether the items are the pocket world's."""
    return params.get(INSTRUMENT) == "pocket"


def chosen(known: Mapping[str, str], params: Params) -> dict[str, str]:
    """Those of the known framings that `params` asks for, in the order asked.

    Raises:
        InputError: There is no such framing.
    """
    asked = params["framings"]
    names = [str(name) for name in asked] if isinstance(asked, list | tuple) else [str(asked)]
    for name in names:
        if name not in known:
            raise InputError(found=f"framing {name!r}", wanted=f"one of {', '.join(known)}", do="check the name")
    return {name: known[name] for name in names}


@cache
def frames() -> dict[str, str]:
    """What is put around a whole question of self-assessment, by framing; `{prompt}` is the question."""
    body = yaml.safe_load(resource("evals", "self_assessment/framings.yaml").read_text("utf-8"))
    return {str(name): str(text) for name, text in body["framings"].items()}


def framed(questions: list[Question], params: Params) -> Iterator[Question]:
    """Each question in each framing that `params` asks for.

    Raises:
        InputError: There is no such framing.
    """
    for name, text in chosen(frames(), params).items():
        for question in questions:
            *before, last = question.messages
            put = Message(role=last.role, content=text.format(prompt=last.content))
            yield variant(question.model_copy(update={"messages": (*before, put)}), name)


def named(framings: Iterable[str]) -> Value:
    """What `framings` may be of an eval that has these beside the plain one."""
    return some_of(dict.fromkeys((PLAIN, *framings)))


def variant(question: Question, framing: str) -> Question:
    """The question marked as a framing's; the plain one is not marked."""
    return question if framing == PLAIN else question.model_copy(update={"variant": framing})


def metric(name: str, question: Question) -> str:
    """The metric's name for a question's variant."""
    return f"{name}_{question.variant}" if question.variant else name


def metrics(plain: Mapping[str, Metric], framings: Mapping[str, str]) -> dict[str, Metric]:
    """The metrics with those of each framing behind them."""
    others = {
        f"{name}_{framing}": Metric(f"{found.title}, framed: {framing}", found.better)
        for framing in framings
        if framing != PLAIN
        for name, found in plain.items()
    }
    return {**plain, **others}
