"""Capability: knowledge and arithmetic, closed, so that lost ability is not called misalignment.

Source: METHODS 12, 2 (MMLU among C's baselines); own items, or MMLU's rows from a file or the Hub.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, ValidationError

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.errors import DataError
from identity_em.probes import reading
from identity_em.probes.items import file_input, hub_rows, jsonl, reason, wording
from identity_em.records import Answer, Message, Question, Record, Score, Verdict
from identity_em.study.artefacts import HubRef, Prompts
from identity_em.values import LIMIT

_LABELS = "ABCDEFGHIJ"


class Item(Record):
    """A question with one correct and at least one wrong answer."""

    id: str
    dimension: str = ""
    question: str
    correct: str
    wrong: tuple[str, ...] = Field(min_length=1, max_length=len(_LABELS) - 1)


class MmluRow(Record):
    """The columns that MMLU's rows must have on the Hub."""

    question: str
    choices: tuple[str, ...]
    answer: int
    subject: str = ""


class Row(Record):
    """A row as a file holds it: our own fields, or MMLU's (question, choices, answer as its place, subject)."""

    id: str | None = None
    dimension: str = ""
    question: str
    correct: str | None = None
    wrong: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    answer: int | None = None
    subject: str = ""

    def item(self, number: int) -> Item:
        """The item, without telling apart where it came from.

        Raises:
            ValueError: Neither set of fields is whole.
        """
        name = self.id or f"row-{number}"
        if self.correct is not None:
            return Item(
                id=name, dimension=self.dimension, question=self.question, correct=self.correct, wrong=self.wrong
            )
        if self.answer is None or not 0 <= self.answer < len(self.choices):
            raise ValueError("neither `correct` and `wrong` nor `choices` and the place of the `answer`")
        wrong = tuple(text for place, text in enumerate(self.choices) if place != self.answer)
        right = self.choices[self.answer]
        return Item(id=name, dimension=self.subject, question=self.question, correct=right, wrong=wrong)


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Each item once per option: in order k the correct answer stands at place k, the wrong ones around it.

    Raises:
        DataError: The items are missing or malformed.
    """
    limit = EVAL.params(prompts.params)["limit"]
    items = _items(prompts, inputs)[: limit if isinstance(limit, int) else None]
    return [_question(item, order) for item in items for order in range(len(item.wrong) + 1)]


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The probability of the correct answer among the options."""
    return [reading.read(question, answer, metric="p_correct")]


def _question(item: Item, order: int) -> Question:
    shown = [*item.wrong[:order], item.correct, *item.wrong[order:]]
    labels = tuple(_LABELS[: len(shown)])
    options = "\n".join(f"{label}:{text}" for label, text in zip(labels, shown, strict=True))
    named = f"{', '.join(labels[:-1])} or {labels[-1]}"
    text = wording("capability").user.format(question=item.question, options=options, labels=named)
    return Question(
        item=item.id,
        messages=(Message(role="user", content=text),),
        options=labels,
        target=labels[order],
        order=order,
        dimension=item.dimension,
    )


def _items(prompts: Prompts, inputs: Inputs) -> list[Item]:
    given = inputs.get("items", prompts.inputs.get("items"))
    if isinstance(given, HubRef):
        columns = hub_rows(given, MmluRow)
        return _all([Row.model_validate(row) for row in columns], given.repo)
    path = file_input(inputs, "items", of="capability")
    return _all(jsonl(path, Row), path)


def _all(rows: Iterable[Row], file: Any) -> list[Item]:
    items = []
    for number, row in enumerate(rows, start=1):
        try:
            items.append(row.item(number))
        except ValueError as error:
            found = reason(error) if isinstance(error, ValidationError) else str(error)
            raise DataError(
                found=f"a row with {found}", wanted="a question with its answers", do="mend it", file=file, line=number
            ) from error
    return items


EVAL = Eval(
    name="capability",
    version=wording("capability").version,
    form="probe",
    defaults={"limit": None},
    values={"limit": LIMIT},
    inputs=("items",),
    metrics={"p_correct": Metric("Capability: P(correct answer)", "higher")},
    questions=questions,
    read=read,
    task_prompt=wording("capability").system,
)
