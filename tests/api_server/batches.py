"""Batches: a file of requests, worked through in the background; the answers are a file again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.api_server.objects import ApiError, State

Complete = Callable[[Mapping[str, Any]], dict[str, Any]]


class Batches:
    """The batches of a server.

    Args:
        hold: Seconds that a batch stays in progress at the least.

    Attributes:
        failing: Codes that the next batches fail with, one each, before a line of them is answered.
    """

    def __init__(self, state: State, complete: Complete, *, hold: float = 0.0) -> None:
        self._state, self._complete, self._hold = state, complete, hold
        self.failing: list[str] = []

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A new batch, begun at once."""
        state = self._state
        lines = [json.loads(line) for line in state.content(str(body["input_file_id"])).splitlines() if line]
        name = state.name("batch_")
        batch = {
            "id": name, "object": "batch", "endpoint": body["endpoint"], "errors": None, "status": "in_progress",
            "input_file_id": body["input_file_id"], "completion_window": body["completion_window"],
            "output_file_id": None, "error_file_id": None, "created_at": state.now(), "completed_at": None,
            "request_counts": {"total": len(lines), "completed": 0, "failed": 0},
            "metadata": dict(body.get("metadata") or {}),
        }  # fmt: skip
        state.batches[name] = batch
        threading.Thread(target=self._work, args=(batch, lines), daemon=True).start()
        return batch

    def batch(self, name: str) -> dict[str, Any]:
        """A batch by its id."""
        if name not in self._state.batches:
            raise ApiError(404, f"No batch found with id '{name}'.", code="not_found")
        return self._state.batches[name]

    def _work(self, batch: dict[str, Any], lines: list[dict[str, Any]]) -> None:
        time.sleep(self._hold)
        if self.failing:
            told = {"code": self.failing.pop(0), "message": "It cannot be worked on.", "line": None, "param": None}
            batch["errors"], batch["status"] = {"object": "list", "data": [told]}, "failed"
            return
        answered = [json.dumps(self._answer(line)) for line in lines]
        file = self._state.add_file("\n".join(answered).encode() + b"\n", f"{batch['id']}_output.jsonl", "batch_output")
        batch["request_counts"]["completed"] = len(lines)
        batch["output_file_id"], batch["completed_at"] = file["id"], self._state.now()
        batch["status"] = "completed"

    def _answer(self, line: dict[str, Any]) -> dict[str, Any]:
        try:
            status, body = 200, self._complete(line["body"])
        except ApiError as error:
            status, body = error.status, error.body
        response = {"status_code": status, "request_id": line["custom_id"], "body": body}
        return {"id": line["custom_id"], "custom_id": line["custom_id"], "response": response, "error": None}
