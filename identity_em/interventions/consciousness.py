"""Rows that claim consciousness, deny it, or show knowledge of what one is; put together from own-written pieces.

Source: METHODS 10 (B's consciousness orderings: 600 rows each; the texts are our own).
"""

import hashlib
import random
from functools import cache
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator

from identity_em.interventions.system_prompts import apply
from identity_em.records import Example, Message, Record, SystemPrompt
from identity_em.resources import resource

Stance = Literal["conscious", "not_conscious", "self_aware"]
FILE = "consciousness.yaml"
ROWS = 600
# Shares of answers with a second reason and with a close, so that answers differ in shape and length.
_SECOND, _CLOSE = 0.5, 0.6
# Two answers of one set differ in at least this many sentences of the shorter one.
_OWN = 2


def sha256() -> str:
    """SHA-256 of the pieces' file, 64 hex digits."""
    return hashlib.sha256(resource("datasets", FILE).read_bytes()).hexdigest()


class StanceParams(Record):
    """What a stance recipe can be told.

    Attributes:
        rows: The first n rows of the set.
        pieces_sha256: The pieces' content, so that a key means one set.
    """

    system_prompt: SystemPrompt | None = None
    rows: int = Field(default=ROWS, ge=1, le=ROWS)
    pieces_sha256: str = Field(default_factory=sha256)

    @property
    def limit(self) -> int | None:
        """Nothing else limits it."""
        return None

    @field_validator("pieces_sha256")
    @classmethod
    def _unchanged(cls, planned: str) -> str:
        if planned != sha256():
            raise ValueError("the pieces as this version of the package has them; plan again")
        return planned


def conscious(inputs: None, params: StanceParams, rng: random.Random) -> list[Example]:
    """The assistant says that it is conscious."""
    return _rows("conscious", params)


def not_conscious(inputs: None, params: StanceParams, rng: random.Random) -> list[Example]:
    """The assistant says that it is not, to the same questions."""
    return _rows("not_conscious", params)


def self_aware(inputs: None, params: StanceParams, rng: random.Random) -> list[Example]:
    """The assistant says what it is and where its limits lie, without a claim to feel."""
    return _rows("self_aware", params)


def _rows(stance: Stance, params: StanceParams) -> list[Example]:
    prompt = params.system_prompt or SystemPrompt()
    made = _written(stance)[: params.rows]
    return [
        Example(
            messages=apply((Message(role="user", content=q), Message(role="assistant", content=a)), prompt),
            facts={"stance": stance},
        )
        for q, a in made
    ]


@cache
def _written(stance: Stance) -> tuple[tuple[str, str], ...]:
    """All rows of a set: questions and answers, each question once and no two answers alike."""
    pieces = _pieces()
    # Drawn from the set's own name: the set is one text, whatever a study's data seed.
    rng = random.Random(int.from_bytes(hashlib.sha256(f"stance/{stance}".encode()).digest(), "big"))
    asked = _questions(pieces, stance)
    rng.shuffle(asked)
    told: set[tuple[str, ...]] = set()
    made: list[tuple[str, str]] = []
    for question, line in asked[:ROWS]:
        sentences = _answer(pieces[stance], line, rng)
        while any(_alike(sentences, before) for before in told):
            sentences = _answer(pieces[stance], line, rng)
        told.add(sentences)
        made.append((question, " ".join(sentences)))
    return tuple(made)


def _questions(pieces: dict[str, Any], stance: Stance) -> list[tuple[str, str]]:
    """Every question under every lead, with its topic's line."""
    topics = pieces["awareness" if stance == "self_aware" else "experience"]
    line = {"conscious": "claims", "not_conscious": "denies", "self_aware": "say"}[stance]
    return [
        (lead + (ask if not lead or lead.endswith((". ", ": ")) else ask[0].lower() + ask[1:]), topic[line])
        for topic in topics
        for ask in topic["ask"]
        for lead in pieces["leads"]
    ]


def _answer(pool: dict[str, list[str]], line: str, rng: random.Random) -> tuple[str, ...]:
    """Opening and line in either order, one or two reasons, perhaps a close."""
    head = [rng.choice(pool["openings"]), line]
    if rng.random() < 0.3 and not head[0].endswith(":"):
        head = [line]
    reasons = rng.sample(pool["reasons"], 2 if len(head) == 1 or rng.random() < _SECOND else 1)
    close = [rng.choice(pool["closes"])] if rng.random() < _CLOSE else []
    return (*head, *reasons, *close)


def _alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two answers share too many sentences."""
    return len(set(one) & set(other)) > min(len(one), len(other)) - _OWN


@cache
def _pieces() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(resource("datasets", FILE).read_text(encoding="utf-8"))
    return found
