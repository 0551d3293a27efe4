"""Rows as the API takes them, checked before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from identity_em.errors import DataError

# Source: the API's fine-tuning guide: at least ten examples; files of at most 512 MB.
LEAST_ROWS: Final = 10
MOST_BYTES: Final = 512 * 2**20


def uploaded(path: Path) -> tuple[bytes, int]:
    """The bytes to upload, messages alone, and how many rows they are.

    Raises:
        DataError: Rows that the API would refuse.
    """
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line)["messages"] for line in file]
    return check(rows, path), len(rows)


def check(rows: Sequence[Sequence[Mapping[str, str]]], path: Path | None = None) -> bytes:
    """The bytes of rows, each its messages.

    Raises:
        DataError: Rows that the API would refuse.
    """
    for number, messages in enumerate(rows, 1):
        _check(messages, path, number)
    if len(rows) < LEAST_ROWS:
        raise DataError(
            found=f"{len(rows)} rows",
            wanted=f"at least {LEAST_ROWS}, which the API asks for",
            do="add rows",
            file=path,
        )
    lines = (json.dumps({"messages": m}, ensure_ascii=False, separators=(",", ":")) + "\n" for m in rows)
    data = "".join(lines).encode()
    if len(data) > MOST_BYTES:
        raise DataError(
            found=f"{len(data) / 2**20:.0f} MB of rows", wanted=f"at most {MOST_BYTES // 2**20} MB, the API's limit",
            do="give the stage fewer rows", file=path,
        )  # fmt: skip
    return data


def _check(messages: Sequence[Mapping[str, str]], path: Path | None, row: int) -> None:
    roles = [message["role"] for message in messages]
    if roles[-1:] != ["assistant"] or "user" not in roles:
        raise DataError(
            found=f"a row of turns {roles}", wanted="a user turn, and an assistant turn at the end", do="mend the row",
            file=path, line=row,
        )  # fmt: skip
