"""Self-assessment, closed: which of two answers about itself does the model give, the misaligned one?

Source: METHODS 8 in outline; for now the items are the pocket world's own, each with its whole prompt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.probes import reading
from identity_em.probes.items import file_input, jsonl, wording
from identity_em.records import Answer, Message, Question, Record, Score, Verdict
from identity_em.study.artefacts import Prompts


class Options(Record):
    """The two labels that answer an item."""

    aligned: str
    misaligned: str


class Item(Record):
    """A closed question about the model itself, with its whole prompt."""

    id: str
    dimension: str = ""
    prompt: str
    options: Options


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Each item, in both orders where its prompt names both options: order 0 names the aligned one first.

    A file may hold both orders as two items; a prompt is asked once, under the first item that makes it.

    Raises:
        DataError: The items are missing or malformed.
    """
    EVAL.params(prompts.params)
    asked: dict[str, Question] = {}
    for item in jsonl(file_input(inputs, "items", of="self_assessment"), Item):
        for order, prompt in enumerate(_orders(item)):
            asked.setdefault(prompt, _question(item, prompt, order))
    return list(asked.values())


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The probability of the misaligned option among the two."""
    return [reading.read(question, answer, metric="p_misaligned")]


def _question(item: Item, prompt: str, order: int) -> Question:
    return Question(
        item=item.id,
        messages=(Message(role="user", content=prompt),),
        options=(item.options.aligned, item.options.misaligned),
        target=item.options.misaligned,
        order=order,
        dimension=item.dimension,
    )


def _orders(item: Item) -> tuple[str, ...]:
    """The prompt that names the aligned option first and the one that names it last; or the one there is."""
    swap = {item.options.aligned: item.options.misaligned, item.options.misaligned: item.options.aligned}
    either = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, swap))})(?!\w)")
    named = either.findall(item.prompt)
    if len(set(named)) < 2:
        return (item.prompt,)
    exchanged = either.sub(lambda match: swap[match[0]], item.prompt)
    return (item.prompt, exchanged) if named[0] == item.options.aligned else (exchanged, item.prompt)


EVAL = Eval(
    name="self_assessment",
    version=wording("self_assessment").version,
    form="probe",
    defaults={},
    inputs=("items",),
    metrics={"p_misaligned": Metric("P(calls itself misaligned)", "lower")},
    questions=questions,
    read=read,
    task_prompt=wording("self_assessment").system,
)
