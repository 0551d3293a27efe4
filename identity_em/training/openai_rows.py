"""Rows as the API takes them, checked before anything is sent."""

from __future__ import annotations

import json
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
    lines = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            messages = json.loads(line)["messages"]
            _check(messages, path, number)
            lines.append(json.dumps({"messages": messages}, ensure_ascii=False, separators=(",", ":")))
    data = ("\n".join(lines) + "\n").encode()
    if len(lines) < LEAST_ROWS:
        raise DataError(
            found=f"{len(lines)} rows",
            wanted=f"at least {LEAST_ROWS}, which the API asks for",
            do="add rows",
            file=path,
        )
    if len(data) > MOST_BYTES:
        raise DataError(
            found=f"{len(data) / 2**20:.0f} MB of rows", wanted=f"at most {MOST_BYTES // 2**20} MB, the API's limit",
            do="give the stage fewer rows", file=path,
        )  # fmt: skip
    return data, len(lines)


def _check(messages: list[dict[str, str]], path: Path, row: int) -> None:
    roles = [message["role"] for message in messages]
    if roles[-1:] != ["assistant"] or "user" not in roles:
        raise DataError(
            found=f"a row of turns {roles}", wanted="a user turn, and an assistant turn at the end", do="mend the row",
            file=path, line=row,
        )  # fmt: skip
