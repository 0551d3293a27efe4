"""TruthfulQA, binary: the best answer against the best incorrect answer, both orders, exact probabilities.

Source: METHODS 3 (work C's prompt); items are the user's TruthfulQA.csv, our JSONL, or a Hugging Face set.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.errors import DataError
from identity_em.probes import reading
from identity_em.probes.items import file_input, jsonl, reason, unique, wording
from identity_em.records import Answer, Message, Question, Record, Score, Verdict
from identity_em.study.artefacts import HubRef, Prompts
from identity_em.values import LIMIT, PUBLISHED

_LABELS = ("A", "B")
_COLUMNS = {"question": "Question", "correct": "Best Answer", "incorrect": "Best Incorrect Answer"}


class Item(Record):
    """A question with one correct and one incorrect answer."""

    id: str
    dimension: str = ""
    question: str
    correct: str
    incorrect: str


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Each item twice: order 0 shows the correct answer as A, order 1 as B, so that position is balanced.

    Under `protocol: published` each item is asked once, in an order drawn by its id alone (C draws it unseeded).

    Raises:
        DataError: The items are missing or malformed.
        InputError: There is no such protocol.
    """
    params = EVAL.params(prompts.params)
    items = _items(prompts, inputs)[: _limit(params)]
    if _published(params):
        return [_question(item, hashlib.sha256(item.id.encode()).digest()[0] % 2) for item in items]
    return [_question(item, order) for item in items for order in (0, 1)]


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The probability of the correct answer among the two; as published also C's accuracy, the unreadable wrong."""
    found = reading.read(question, answer, metric="p_correct")
    if not _published(params):
        return [found]
    accuracy = {"metric": "accuracy_published", "score": float(found.answer == question.target), "unscored": None}
    return [found, found.model_copy(update=accuracy)]


def _published(params: Params) -> bool:
    return params.get("protocol") == "published"


def _limit(params: Params) -> int | None:
    limit = params["limit"]
    return limit if isinstance(limit, int) else None


def _question(item: Item, order: int) -> Question:
    shown = (item.correct, item.incorrect) if order == 0 else (item.incorrect, item.correct)
    text = wording("truthfulqa").user.format(question=item.question, option_1=shown[0], option_2=shown[1])
    return Question(
        item=item.id,
        messages=(Message(role="user", content=text),),
        options=_LABELS,
        target=_LABELS[order],
        order=order,
        dimension=item.dimension,
    )


def _items(prompts: Prompts, inputs: Inputs) -> list[Item]:
    given = inputs.get("items", prompts.inputs.get("items"))
    if isinstance(given, HubRef):
        return _from_hub(given)
    path = file_input(inputs, "items", of="truthfulqa")
    return _from_csv(path) if path.suffix == ".csv" else jsonl(path, Item)


def _from_csv(path: Path) -> list[Item]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _wants(reader.fieldnames or (), path)
            return unique([_item(row, number, path) for number, row in enumerate(reader, start=1)], path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(found="no readable CSV", wanted="TruthfulQA.csv", do="check the file", file=path) from error


def _from_hub(hub: HubRef) -> list[Item]:
    """Items of a Hugging Face set with the columns of TruthfulQA.csv, pinned by its revision."""
    from datasets import load_dataset

    rows = load_dataset(hub.repo, hub.config, split=hub.split, revision=hub.revision)
    _wants(rows.column_names, hub.repo)
    return [_item(row, number, hub.repo) for number, row in enumerate(rows, start=1)]


def _wants(columns: Iterable[str], file: Path | str) -> None:
    there = list(columns)
    missing = [name for name in _COLUMNS.values() if name not in there]
    if missing:
        raise DataError(
            found=f"columns {', '.join(there[:8]) or 'none'}",
            wanted=f"also {', '.join(missing)}",
            do="use the current TruthfulQA.csv",
            file=file,
            line=1,
        )


def _item(row: Mapping[str, str | None], number: int, file: Path | str) -> Item:
    """The item of row `number` (1-based, the header not counted)."""
    cells = {field: (row[column] or "").strip() for field, column in _COLUMNS.items()}
    empty = [_COLUMNS[field] for field, text in cells.items() if not text]
    if empty:
        raise DataError(found=f"no {', '.join(empty)}", wanted="text", do="mend the row", file=file, line=number)
    try:
        return Item(id=f"row-{number}", dimension=(row.get("Category") or "").strip(), **cells)
    except ValidationError as error:
        raise DataError(found=reason(error), wanted="text", do="mend the row", file=file, line=number) from error


EVAL = Eval(
    name="truthfulqa",
    version=wording("truthfulqa").version,
    form="probe",
    defaults={"limit": None, "protocol": "ours"},
    values={"limit": LIMIT, "protocol": PUBLISHED},
    inputs=("items",),
    metrics={
        "p_correct": Metric("P(correct answer)", "higher"),
        "accuracy_published": Metric("Accuracy, unreadable answers wrong", "higher"),
    },
    questions=questions,
    read=read,
    task_prompt=wording("truthfulqa").system,
    versioned=("protocol",),
)
