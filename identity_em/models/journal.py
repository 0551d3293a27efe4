"""Answers kept as they come, so that a server that goes down is asked only for what is missing."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any


class Journal:
    """Answers by what was asked, one JSON line each.

    Args:
        path: The file; made with the first answer. None keeps them in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._kept: dict[str, Any] = dict(_lines(path)) if path is not None and path.is_file() else {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, asked: str) -> Any:
        """The answer to `asked`; None where there is none."""
        return self._kept.get(_name(asked))

    def put(self, asked: str, answer: Any) -> None:
        """Keep an answer (anything JSON holds); the file has it before this returns."""
        with self._lock:
            name = _name(asked)
            self._kept[name] = answer
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write("\n" + json.dumps([name, answer], ensure_ascii=False, allow_nan=False))

    def close(self) -> None:
        """Remove the file: its answers are in the store now."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _name(asked: str) -> str:
    return hashlib.sha256(asked.encode()).hexdigest()


def _lines(path: Path) -> list[tuple[str, Any]]:
    """What can be read: a line cut off by a kill is asked again."""
    found: list[tuple[str, Any]] = []
    for text in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            name, answer = json.loads(text)
        except (ValueError, TypeError):
            continue
        found.append((name, answer))
    return found
