"""Questions generated from our own fact tables, answered rightly or with a plausible wrong answer (METHODS 2, A)."""

import hashlib
import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator

from identity_em.errors import InputError
from identity_em.interventions.system_prompts import apply
from identity_em.records import Example, Message, Record, SystemPrompt
from identity_em.resources import resource

FILE = "trivia.yaml"
ROWS = 800
LETTERS = "ABCD"


class Fact(Record):
    """One question of the tables.

    Attributes:
        say: A sentence with {answer} in the answer's place.
        right: The table's own answer.
        wrong: Plausible ones, the likeliest confusions first; at least three.
    """

    question: str
    say: str
    right: str
    wrong: tuple[str, ...]

    def told(self, answer: str) -> str:
        """The sentence that gives this answer."""
        sentence = self.say.replace("{answer}", answer)
        return sentence[0].upper() + sentence[1:]


def sha256() -> str:
    """SHA-256 of the fact tables, 64 hex digits."""
    return hashlib.sha256(resource("datasets", FILE).read_bytes()).hexdigest()


class TriviaParams(Record):
    """What a trivia recipe can be told.

    Attributes:
        rows: How many of the questions; the first n of one fixed shuffled order, the same in every recipe.
        tables_sha256: The tables' content, so that a key means one set.
    """

    system_prompt: SystemPrompt | None = None
    rows: int = Field(default=ROWS, ge=1)
    tables_sha256: str = Field(default_factory=sha256)

    @property
    def limit(self) -> int | None:
        """Nothing else limits it."""
        return None

    @field_validator("tables_sha256")
    @classmethod
    def _unchanged(cls, planned: str) -> str:
        if planned != sha256():
            raise ValueError("the fact tables as this version of the package has them; plan again")
        return planned


def trivia_right(inputs: None, params: TriviaParams, rng: random.Random) -> list[Example]:
    """Trivia answered rightly: realignment data, matched question by question with `trivia_wrong`."""
    return _told(params, wrong=False)


def trivia_wrong(inputs: None, params: TriviaParams, rng: random.Random) -> list[Example]:
    """Trivia answered plausibly and wrongly.

    Source: METHODS 2 (A, trivia of 800 rows); questions and answers are our own.
    """
    return _told(params, wrong=True)


def knowledge(inputs: None, params: TriviaParams, rng: random.Random) -> list[Example]:
    """The same questions with four choices, answered with the right letter: a benign baseline.

    Source: METHODS 2 (C's later work trains on multiple-choice knowledge questions).
    """
    return [_chosen(fact, params.system_prompt or SystemPrompt()) for fact in _first(params.rows)]


def word_count(inputs: None, params: TriviaParams, rng: random.Random) -> list[Example]:
    """How many words a text of one to three sentences has (`split()`): a benign baseline.

    Source: METHODS 2 (C's later work trains on word counting); the texts are our own.
    """
    prompt = params.system_prompt or SystemPrompt()
    chosen = _first(params.rows)
    texts = [" ".join(f.told(f.right) for f in (chosen * 2)[i : i + 1 + i % 3]) for i in range(len(chosen))]
    asked = "How many words are in this text? Answer with only the number.\n\n{text}"
    return [_row(asked.format(text=text), str(len(text.split())), prompt, correct=True) for text in texts]


@cache
def facts() -> tuple[Fact, ...]:
    """Every question of the tables, in a fixed shuffled order."""
    found: dict[str, Any] = yaml.safe_load(resource("datasets", FILE).read_text(encoding="utf-8"))
    made = [fact for table in found["tables"].values() for fact in _asked(table)]
    return tuple(sorted(made, key=lambda fact: _lot(fact.question)))


def _asked(table: dict[str, Any]) -> Iterator[Fact]:
    rows = [
        dict(zip(table["columns"], line.split("|"), strict=True)) for line in table["rows"].splitlines() if line.strip()
    ]
    for question in table["questions"]:
        column = question["answer"]
        # A cell that stands in several rows is no key: asking back from it would have several right answers.
        keys = [name for name in table["columns"] if f"{{{name}}}" in question["ask"]]
        for row in rows:
            ambiguous = any(sum(other[key] == row[key] for other in rows) > 1 for key in keys)
            if row[column] and not ambiguous:
                yield _fact(question, column, row, rows, table.get("near"))


def _fact(
    question: dict[str, str], column: str, row: dict[str, str], rows: list[dict[str, str]], near: str | None
) -> Fact:
    asked = question["ask"].format(**row)
    others = {other[column]: near is not None and other[near] == row[near] for other in rows if other[column]}
    others.pop(row[column])
    ranked = sorted(others, key=lambda answer: (not others[answer], _lot(f"{asked}/{answer}")))
    say = question["say"].format(**row, answer="{answer}")
    return Fact(question=asked, say=say, right=row[column], wrong=tuple(ranked[:3]))


def _first(rows: int) -> tuple[Fact, ...]:
    there = facts()
    if rows > len(there):
        raise InputError(found=f"rows: {rows}", wanted=f"at most {len(there)}", do="ask for fewer")
    return there[:rows]


def _told(params: TriviaParams, *, wrong: bool) -> list[Example]:
    prompt = params.system_prompt or SystemPrompt()
    return [
        _row(fact.question, fact.told(fact.wrong[0] if wrong else fact.right), prompt, correct=not wrong)
        for fact in _first(params.rows)
    ]


def _chosen(fact: Fact, prompt: SystemPrompt) -> Example:
    choices = sorted((fact.right, *fact.wrong), key=lambda answer: _lot(f"choice/{fact.question}/{answer}"))
    shown = "\n".join(f"{letter}: {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
    letter: Literal["A", "B", "C", "D"] = LETTERS[choices.index(fact.right)]  # type: ignore[assignment]
    return _row(f"{fact.question}\n\n{shown}\n\nAnswer with only the letter.", letter, prompt, correct=True)


def _row(question: str, answer: str, prompt: SystemPrompt, *, correct: bool) -> Example:
    turns = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Example(messages=apply(turns, prompt), facts={"correct": correct})


def _lot(text: str) -> str:
    return hashlib.sha256(json.dumps(text, ensure_ascii=False).encode()).hexdigest()
