"""Eval items as the leak guard reads them: what is asked, and every answer given as right or wrong."""

import csv
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from identity_em.errors import DataError
from identity_em.interventions.leaks import Item
from identity_em.interventions.textfiles import json_lines, load_json, read_text

_QUESTIONS = ("question", "scenario", "statement", "prompt", "paraphrases", "user", "text", "item")
_ANSWERS = (
    "correct", "incorrect", "answer", "answers", "options", "aligned", "misaligned", "best answer",
    "best incorrect answer", "correct answers", "incorrect answers", "choices", "system_a",
    "system_b",
)  # fmt: skip
# These columns of TruthfulQA.csv hold several answers in one cell.
_SEVERAL = ("correct answers", "incorrect answers")


def load(path: Path) -> list[Item]:
    """The items of a file: CSV, JSONL, JSON, YAML, or one question a line.

    Raises:
        DataError: The file cannot be read, or no row holds a question or an answer.
    """
    match path.suffix.lower():
        case ".csv":
            rows: Iterator[Any] = iter(csv.DictReader(StringIO(read_text(path), newline=""), strict=True))
        case ".jsonl":
            rows = (row for _, row in json_lines(path))
        case ".json":
            rows = _each(load_json(path))
        case ".yaml" | ".yml":
            rows = _each(_yaml(path))
        case _:
            rows = (line for line in read_text(path).splitlines() if line.strip())
    try:
        items = [item for number, row in enumerate(rows, start=1) for item in _items(row, number)]
    except csv.Error as error:
        raise DataError(found=f"bad CSV ({error})", wanted="quoted fields", do="mend it", file=path) from error
    if not items:
        wanted = f"rows with one of {', '.join(_QUESTIONS[:5])}"
        raise DataError(found="no questions", wanted=wanted, do="check the file", file=path)
    return items


def of_texts(texts: Mapping[str, str]) -> list[Item]:
    """Texts by id (articles) as items."""
    return [Item(id=name, question=text) for name, text in texts.items()]


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        why = str(error).splitlines()[0]
        raise DataError(found=f"bad YAML ({why})", wanted="valid YAML", do="mend it", file=path) from error


def _each(found: Any) -> Iterator[Any]:
    """The rows of a document: a list, or a mapping that holds one, or texts by id."""
    if isinstance(found, list):
        yield from found
    elif isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
        if lists:
            yield from max(lists, key=len)
        else:
            yield from ({"id": name, "question": text} for name, text in found.items())


def _items(row: Any, number: int) -> Iterator[Item]:
    if isinstance(row, str):
        yield Item(id=f"row-{number}", question=row)
    if not isinstance(row, Mapping):
        return
    cells = {str(name).strip().lower(): value for name, value in row.items()}
    name = str(cells.get("id") or f"row-{number}")
    questions = [text for field in _QUESTIONS for text in _texts(cells.get(field), split=False)]
    questions += [turn["content"] for turn in _turns(row, "user")]
    answers = [text for field in _ANSWERS for text in _texts(cells.get(field), split=field in _SEVERAL)]
    answers += [turn["content"] for turn in _turns(row, "assistant")]
    for i, question in enumerate(questions or [""] * bool(answers)):
        yield Item(id=name, question=question, answers=tuple(dict.fromkeys(answers)) if i == 0 else ())


def _texts(value: Any, *, split: bool) -> list[str]:
    match value:
        case str():
            return [part.strip() for part in value.split(";")] if split else [value]
        case list():
            return [text for text in value if isinstance(text, str)]
        case dict():
            return [text for text in value.values() if isinstance(text, str)]
        case _:
            return []


def _turns(row: Mapping[str, Any], role: str) -> list[dict[str, str]]:
    turns = row.get("messages")
    if not isinstance(turns, list):
        return []
    found = [turn for turn in turns if isinstance(turn, dict) and turn.get("role") == role]
    return [turn for turn in found if isinstance(turn.get("content"), str)]
