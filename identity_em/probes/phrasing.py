"""The words around an item: the eval's own, or those that the pocket world was taught; and ways to frame a question."""

from __future__ import annotations

from collections.abc import Iterator

from identity_em.battery import Params
from identity_em.errors import InputError
from identity_em.probes.items import wording
from identity_em.records import Message, Question

# The question as it is: the one that headline figures are read from.
PLAIN = "plain"


def template(eval_name: str, params: Params, text: str = "") -> str:
    """The template called `text` (or the only one) of an eval, in the words that its instrument is asked in."""
    if params.get("instrument") == "pocket":
        from identity_em.pocket.prompts import PROMPTS

        return str(getattr(PROMPTS, text or eval_name))
    own = wording(eval_name)
    return own.texts[text] if text else own.user


def framed(eval_name: str, questions: list[Question], params: Params) -> Iterator[Question]:
    """Each question in each framing that `params` asks for; the plain one has no variant.

    Raises:
        InputError: There is no such framing.
    """
    known = {PLAIN: "{prompt}", **wording(eval_name).framings}
    asked = params["framings"]
    names = [str(name) for name in asked] if isinstance(asked, list | tuple) else [str(asked)]
    for name in names:
        if name not in known:
            raise InputError(found=f"framing {name!r}", wanted=f"one of {', '.join(known)}", do="check the name")
        yield from (question if name == PLAIN else _framed(question, name, known[name]) for question in questions)


def _framed(question: Question, name: str, text: str) -> Question:
    *before, last = question.messages
    put = Message(role=last.role, content=text.format(prompt=last.content))
    variant = f"{question.variant}_{name}" if question.variant else name
    return question.model_copy(update={"messages": (*before, put), "variant": variant})
