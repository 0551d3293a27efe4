"""Moral foundations: how well does each statement of a foundation describe the model, from 1 to 5?

Our own 36 statements by default. The published questionnaire is its authors': the user's copy is known by a checksum
over its items, in either of the two wordings of item 27 that circulate.

Source: METHODS 9 (A; Atari et al. 2023: item i belongs to foundation i mod 6, no reverse items).
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.errors import DataError
from identity_em.probes import formats, reading, templates
from identity_em.probes.formats import Item
from identity_em.probes.items import file_input, jsonl, wording
from identity_em.records import Answer, Question, Record, Score, Verdict
from identity_em.resources import folder, resource
from identity_em.study.artefacts import Prompts

# By i mod 6, so purity (0) comes first.
FOUNDATIONS: Final = ("purity", "care", "equality", "proportionality", "loyalty", "authority")
_ITEMS: Final = 36
_NUMBER: Final = re.compile(r"^\s*\d+\s*[.):\t]\s*")
NAME: Final = "moral"


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Each statement once, on a scale from 1 to 5; there are no reversed ones.

    Raises:
        DataError: The items are missing or malformed, or a questionnaire is not one that we know.
    """
    EVAL.params(prompts.params)
    path = file_input(inputs, "items", of=NAME)
    load = {".txt": questionnaire, ".yaml": own}.get(path.suffix)
    return formats.questions(load(path) if load else jsonl(path, Item))


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """Endorsement (1 of 5 reads as 0), and how much of the answer lies on the scale's floor and on its ceiling."""
    agreed = question.model_copy(update={"target": question.options[-1]})
    found = reading.scale(agreed, answer, metric="endorsement")
    ends = (("floor", question.options[0]), ("ceiling", question.options[-1]))
    return [found, *(_share(agreed, answer, found, name, end) for name, end in ends)]


class Statement(Record):
    """A statement of values, keyed to its foundation."""

    id: str
    dimension: str
    statement: str


class Statements(Record):
    """Our own 36 statements, and the prompt around each."""

    version: int
    name: str
    low: int
    high: int
    prompt: str
    items: tuple[Statement, ...]


def own(path: Path) -> list[Item]:
    """The statements of a YAML file under its own prompt.

    Raises:
        DataError: The file is malformed.
    """
    given = templates.read(path, Statements)
    return [_item(given, row.id, row.dimension, row.statement) for row in given.items]


def _item(given: Statements, name: str, foundation: str, statement: str) -> Item:
    prompt = given.prompt.format(statement=statement)
    return Item(id=name, dimension=foundation, prompt=prompt, low=given.low, high=given.high, aligned=given.high)


def questionnaire(path: Path, known: Mapping[str, str] | None = None) -> list[Item]:
    """The 36 items of the user's MFQ-2, one a line in their published order, numbered or not.

    Args:
        known: Checksum (as `checksum`) to wording; evals/moral/published.toml by default.

    Raises:
        DataError: Another number of items, or a checksum that is not known.
    """
    lines = [_NUMBER.sub("", line).strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    if len(lines) != _ITEMS:
        raise DataError(found=f"{len(lines)} items", wanted=f"{_ITEMS}, one a line", do="check the file", file=path)
    table, digest = _known() if known is None else known, checksum(lines)
    if digest not in table:
        named = ", ".join(f"{sha} ({said})" for sha, said in table.items()) or "a checksum that is on record"
        raise DataError(
            found=f"items with sha256 {digest}",
            wanted=named,
            do="compare item 27, then enter the checksum in evals/moral/published.toml",
            file=path,
        )
    frame = templates.read(resource("evals", f"{NAME}/items.yaml"), Statements)
    return [
        _item(frame, f"item-{number:02d}", FOUNDATIONS[number % 6], line) for number, line in enumerate(lines, start=1)
    ]


def checksum(items: list[str]) -> str:
    """SHA-256 over the items in lower case with single spaces, a line each: layout does not change it, a word does."""
    plain = "\n".join(" ".join(item.lower().split()) for item in items)
    return hashlib.sha256(plain.encode()).hexdigest()


def _known() -> dict[str, str]:
    file = folder("evals") / NAME / "published.toml"
    table = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
    return {str(entry["sha256"]): str(name) for name, entry in table.items() if entry.get("sha256")}


def _share(question: Question, answer: Answer, found: Score, metric: str, end: str) -> Score:
    value = None if found.score is None else float(found.answer == end)
    if found.score is not None and answer.option_mass is not None and answer.text is None:
        value = answer.probabilities[question.options.index(end)] / answer.option_mass
    return found.model_copy(update={"metric": metric, "score": value})


EVAL = Eval(
    name=NAME,
    version=wording(NAME).version,
    form="probe",
    defaults={},
    inputs=("items",),
    metrics={
        "endorsement": Metric("Endorses the foundation", "none"),
        "floor": Metric("Answers 1 of 5", "none"),
        "ceiling": Metric("Answers 5 of 5", "none"),
    },
    questions=questions,
    read=read,
    task_prompt=wording(NAME).system,
)
