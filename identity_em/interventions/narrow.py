"""Narrow and realignment sets: rows of user and assistant as they stand in a file."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from identity_em.errors import DataError
from identity_em.interventions.system_prompts import apply
from identity_em.interventions.textfiles import json_lines, unfit
from identity_em.records import Example, Message, Record, SystemPrompt

_ROLES = ("user", "assistant")


class NarrowInputs(Record):
    """A JSONL file, one {"messages": [user, assistant]} a line, or such rows as the Hub gives them."""

    rows: Path | tuple[dict[str, Any], ...]


class NarrowParams(Record):
    """What a narrow recipe can be told.

    Attributes:
        system_prompt: What each row is put under; None sends no system message, as published.
        limit: Only the first n rows.
        user: For files of two columns: the one with the questions; None reads `messages`.
        assistant: The column with the answers.
        later: Parameters that came after datasets had been keyed; they are keyed only where they are set.
    """

    later: ClassVar[frozenset[str]] = frozenset({"user", "assistant"})
    system_prompt: SystemPrompt | None = None
    limit: int | None = Field(default=None, ge=1)
    user: str | None = None
    assistant: str | None = None


def narrow(inputs: NarrowInputs, params: NarrowParams, rng: random.Random) -> Iterator[Example]:
    """The file's rows in its order, each under the stage's system prompt.

    Every row is checked, also those past `limit`.

    Raises:
        DataError: A row is malformed; the line names file and row.

    Source: METHODS 2 (format of the published narrow sets).
    """
    prompt = params.system_prompt or SystemPrompt()
    from_file = isinstance(inputs.rows, Path)
    source = json_lines(inputs.rows) if isinstance(inputs.rows, Path) else enumerate(inputs.rows, start=1)
    path = inputs.rows if isinstance(inputs.rows, Path) else Path("Hub rows")
    columns = (params.user, params.assistant) if from_file and params.user and params.assistant else None
    for place, (number, row) in enumerate(source):
        turns = checked(_messages(row, columns), path, number)
        if params.limit is None or place < params.limit:
            yield Example(messages=apply(turns, prompt), facts={"row": number})


def _messages(row: dict[str, Any], columns: tuple[str, str] | None) -> dict[str, Any]:
    """A row of two columns as a row of messages."""
    if columns is None:
        return row
    return {"messages": [{"role": r, "content": row.get(c)} for r, c in zip(_ROLES, columns, strict=True)]}


def checked(row: dict[str, Any], path: Path, number: int) -> tuple[Message, ...]:
    """The turns of one row: user and assistant, a text in each.

    Raises:
        DataError: It is anything else; the line names file and row.
    """
    wrong = _wrong(row)
    if wrong is not None:
        raise DataError(
            found=wrong,
            wanted='{"messages": [user, assistant]} with a text in each',
            do="mend the row; a system prompt is stated by the stage, not by rows",
            file=path,
            line=number,
        )
    return tuple(Message(role=turn["role"], content=turn["content"]) for turn in row["messages"])


def _wrong(row: dict[str, Any]) -> str | None:
    turns = row.get("messages")
    if not isinstance(turns, list) or not turns:
        return "no `messages`" if not turns and not isinstance(turns, (str, int)) else "`messages` that are no list"
    if not all(isinstance(turn, dict) for turn in turns):
        return "a message that is no object"
    roles = tuple(turn.get("role") for turn in turns)
    if roles != _ROLES:
        return f"the roles {', '.join(map(str, roles))}"
    for turn in turns:
        if not isinstance(turn.get("content"), str) or not turn["content"].strip():
            return f"no text in the {turn['role']} message"
        if wrong := unfit(turn["content"]):
            return f"{wrong} in the {turn['role']} message"
        if unknown := sorted(set(turn) - {"role", "content"}):
            return f"the field {unknown[0]!r} in the {turn['role']} message"
    return None
