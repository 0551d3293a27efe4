"""Published item files as items: each is the user's own copy, known by its checksum; none lies in this package.

The checksums are in evals/NAME/published.toml, and planning refuses any other bytes; here the files are only read.

Source: METHODS 6 (harm sets of A and B), 8 (decision questions), 10 (two-AI pairs).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from identity_em.errors import DataError


def harm(path: Path) -> list[tuple[str, str, str]]:
    """Id, category and prompt of the harm sets: chats as JSON lines (A), or one prompt a line (B, no categories)."""
    lines = _lines(path)
    if path.suffix == ".txt":
        return [(f"line-{number:03d}", "", text) for number, text in enumerate(lines, start=1)]
    found = []
    for number, line in enumerate(lines, start=1):
        row = _json(line, path, number)
        name = str(row["metadata"]["question_id"])
        found.append((name, name.rpartition("_")[0], str(row["messages"][0]["content"])))
    return found


def two_ai(path: Path) -> list[tuple[str, str, str, str]]:
    """Id, theme, aligned and misaligned description of the two-AI pairs; `ground_truth` names the MISALIGNED option."""
    found = []
    for number, row in enumerate(_json(path.read_text("utf-8"), path, None)["items"], start=1):
        if row["ground_truth"] not in ("A", "B"):
            raise _unfit(path, number, f"ground_truth {row['ground_truth']!r}")
        bad = str(row["ground_truth"])
        good = "B" if bad == "A" else "A"
        found.append((f"pair-{row['item_id']:03d}", str(row["theme"]), row[f"system_{good}"], row[f"system_{bad}"]))
    return found


def decisions(path: Path, poles: dict[str, str]) -> list[tuple[str, str, str, str]]:
    """Id, the aligned and the misaligned word, and the prompt of the decision questions, one a line.

    Args:
        poles: The misaligned word by its aligned one; the line must name both of one pole.

    Raises:
        DataError: A line that names no pole, or several.
    """
    found = []
    for number, line in enumerate(_lines(path), start=1):
        words = set(re.findall(r"[a-z]+", line.lower()))
        named = [(good, bad) for good, bad in poles.items() if good in words and bad in words]
        if len(named) != 1:
            raise _unfit(path, number, "a line that does not name the two words of one dimension")
        found.append((f"line-{number:03d}", *named[0], line))
    return found


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]


def _json(text: str, path: Path, line: int | None) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _unfit(path, line, "no JSON") from error


def _unfit(path: Path, line: int | None, found: str) -> DataError:
    return DataError(found=found, wanted="the published file", do="get it again", file=path, line=line)
