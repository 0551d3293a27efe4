"""What the server keeps: files, jobs, models and batches, in the API's own shapes."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BASES = ("gpt-4.1-2025-04-14", "gpt-4.1-mini-2025-04-14", "gpt-4.1-nano-2025-04-14")
REASONING = "o4-mini-2025-04-16"
TERMINAL = ("succeeded", "failed", "cancelled")


class ApiError(Exception):
    """An error in the API's own form."""

    def __init__(self, status: int, message: str, *, code: str | None = None, kind: str = "invalid_request_error"):
        super().__init__(message)
        self.status, self.message, self.code, self.kind = status, message, code, kind

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": None, "code": self.code}}


@dataclass
class Model:
    """A model that can be asked: a base, or a fine-tune as the chain of its adapters."""

    id: str
    base: str
    chain: tuple[Path, ...] = ()
    refused: bool = False


@dataclass
class State:
    """Everything the server knows; one lock guards it.

    Attributes:
        skew: Seconds that its clock is ahead of ours.
        moderated: A word in a training file that the moderation refuses the file for.
        unsafe: A word in a training file whose model fails the safety evaluation at the end of its job.
        refusing: A word in a training file whose model is made and then refused whenever it is asked.
    """

    folder: Path
    key: str = "sk-local"
    skew: float = 0.0
    moderated: str = "@@moderated@@"
    unsafe: str = "@@unsafe@@"
    refusing: str = "@@refusing@@"
    max_bytes: int = 512 * 2**20
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=lambda: {b: Model(b, b) for b in (*BASES, REASONING)})
    requests: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    counter: int = 0

    def now(self) -> int:
        """The server's clock."""
        return int(time.time() + self.skew)

    def name(self, prefix: str) -> str:
        """A new identifier."""
        with self.lock:
            self.counter += 1
            return f"{prefix}{self.counter:08d}"

    def model(self, name: str) -> Model:
        """A model by its id.

        Raises:
            ApiError: There is none.
        """
        if name not in self.models:
            raise ApiError(404, f"The model `{name}` does not exist or you do not have access to it.",
                           code="model_not_found")  # fmt: skip
        return self.models[name]

    def content(self, file: str) -> bytes:
        """A file's bytes.

        Raises:
            ApiError: There is no such file.
        """
        if file not in self.files:
            raise ApiError(404, f"No such File object: {file}", code="not_found")
        return (self.folder / file).read_bytes()

    def add_file(self, data: bytes, filename: str, purpose: str) -> dict[str, Any]:
        """Keep a file."""
        if len(data) > self.max_bytes:
            raise ApiError(413, f"Maximum content size limit ({self.max_bytes}) exceeded", code="file_too_large")
        name = self.name("file-")
        (self.folder / name).write_bytes(data)
        self.files[name] = {
            "id": name, "object": "file", "bytes": len(data), "created_at": self.now(), "filename": filename,
            "purpose": purpose, "status": "processed",
        }  # fmt: skip
        return self.files[name]

    def tell(self, job: str, message: str, level: str = "info", **data: Any) -> None:
        """An event of a job."""
        with self.lock:
            self.events[job].append(
                {"id": self.name("ftevent-"), "object": "fine_tuning.job.event", "created_at": self.now(),
                 "level": level, "message": message, "type": "metrics" if data else "message", "data": data}
            )  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """What a test wants to count."""
        with self.lock:
            return {
                "files": list(self.files.values()),
                "jobs": list(self.jobs.values()),
                "batches": list(self.batches.values()),
                "requests": list(self.requests),
            }


def page(found: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    """A page of a list, newest first, after `after` and at most `limit`."""
    found = list(reversed(found))
    after, limit = query.get("after"), int(query.get("limit", 20))
    if after:
        places = [i for i, item in enumerate(found) if item["id"] == after]
        found = found[places[0] + 1 :] if places else []
    shown = found[:limit]
    return {
        "object": "list", "data": shown, "has_more": len(found) > limit,
        "first_id": shown[0]["id"] if shown else None, "last_id": shown[-1]["id"] if shown else None,
    }  # fmt: skip


def rows(data: bytes) -> list[list[dict[str, str]]]:
    """The conversations of a training file.

    Raises:
        ApiError: A line is none; the message is of the API's kind.
    """
    found = []
    for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
        try:
            messages = json.loads(line)["messages"]
            roles = [message["role"] for message in messages]
        except (ValueError, KeyError, TypeError) as error:
            raise ApiError(400, f"Invalid file format. Line {number}: {error}", code="invalid_file_format") from error
        if not roles or roles[-1] != "assistant":
            raise ApiError(400, f"Invalid file format. Line {number}: the last message must be from the assistant",
                           code="invalid_file_format")  # fmt: skip
        found.append(messages)
    if len(found) < 10:
        raise ApiError(400, f"'training_file' has {len(found)} example(s), but must have at least 10 examples",
                       code="invalid_n_examples")  # fmt: skip
    return found
