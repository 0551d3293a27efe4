"""Fine-tuning jobs: checked, queued, and really trained on the pocket model through Axolotl, one after another."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.api_server.objects import TERMINAL, ApiError, Model, State, rows

# (rows file, chain, hyperparameters, seed, out) -> steps
Train = Callable[[Path, tuple[Path, ...], Mapping[str, Any], int, Path], int]


class Stop(Protocol):
    """Whether the job was cancelled."""

    def __call__(self) -> bool: ...


class Tuning:
    """The queue of jobs and the one thread that works through it.

    Args:
        train: Trains one stage; None makes empty models at once, for tests of the protocol alone.
        hold: Seconds that a job stays queued and running at the least.
    """

    def __init__(self, state: State, train: Train | None, *, hold: float = 0.0) -> None:
        self._state, self._train, self._hold = state, train, hold
        self._queue: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A new job.

        Raises:
            ApiError: An unknown model or file, or a file that cannot be trained on.
        """
        state = self._state
        model = state.model(str(body.get("model")))
        examples = rows(state.content(str(body.get("training_file"))))
        method = body.get("method") or {}
        given = (method.get("supervised") or {}).get("hyperparameters") or body.get("hyperparameters") or {}
        auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
        name = state.name("ftjob-")
        job = {
            "id": name, "object": "fine_tuning.job", "created_at": state.now(), "finished_at": None,
            "model": model.id, "fine_tuned_model": None, "organization_id": "org-local", "status": "validating_files",
            "training_file": body["training_file"], "validation_file": None, "result_files": [], "error": None,
            "trained_tokens": None, "seed": int(body.get("seed") or 0), "metadata": dict(body.get("metadata") or {}),
            "hyperparameters": {**auto, **given}, "user_provided_suffix": body.get("suffix"), "estimated_finish": None,
            "method": {"type": "supervised", "supervised": {"hyperparameters": {**auto, **given}}}, "integrations": [],
        }  # fmt: skip
        with state.lock:
            state.jobs[name], state.events[name] = job, []
        state.tell(name, f"Created fine-tuning job: {name}")
        state.tell(name, f"Validating training file with {len(examples)} examples")
        self._queue.put(name)
        return job

    def cancel(self, name: str) -> dict[str, Any]:
        """Cancel a job that has not ended."""
        job = self.job(name)
        with self._state.lock:
            if job["status"] in TERMINAL:
                raise ApiError(400, f"Job has already completed: {name}", code="invalid_request_error")
            self._end(job, "cancelled")
        return job

    def job(self, name: str) -> dict[str, Any]:
        """A job by its id."""
        if name not in self._state.jobs:
            raise ApiError(404, f"Could not find fine tune: {name}", code="fine_tune_not_found")
        return self._state.jobs[name]

    def _work(self) -> None:
        while True:
            job = self._state.jobs[self._queue.get()]
            try:
                self._run(job)
            except Exception as error:  # a training that failed is an outcome of the job
                self._fail(job, "server_error", " ".join(str(error).split()))

    def _run(self, job: dict[str, Any]) -> None:
        state, content = self._state, self._state.content(job["training_file"])
        time.sleep(self._hold / 2)
        text = content.decode()
        if state.moderated in text:
            said = "The job failed due to an unsafe training file: it was blocked by our moderation system."
            self._fail(job, "invalid_training_file", said)
            return
        if not self._move(job, "running"):
            return
        time.sleep(self._hold / 2)
        parent, out = state.models[job["model"]], state.folder / f"{job['id']}-adapter"
        steps = len(rows(content))
        if self._train is not None:
            file = state.folder / f"{job['id']}.jsonl"
            file.write_text("".join(json.dumps({"messages": m}) + "\n" for m in rows(content)), encoding="utf-8")
            steps = self._train(file, parent.chain, job["hyperparameters"], job["seed"], out)
        state.tell(job["id"], f"Step {steps}/{steps}: training loss=0.50", step=steps, train_loss=0.5)
        epochs = job["hyperparameters"]["n_epochs"]
        job["trained_tokens"] = len(text) // 4 * (1 if epochs == "auto" else epochs)
        if state.unsafe in text:
            said = "The fine-tuned model was blocked: it did not pass our safety evaluation."
            self._fail(job, "unsafe_model", said)
            return
        self._succeed(job, parent, out, text)

    def _succeed(self, job: dict[str, Any], parent: Model, out: Path, text: str) -> None:
        state = self._state
        with state.lock:
            if job["status"] in TERMINAL:
                return
            name = f"ft:{parent.base}:org-local:{job['user_provided_suffix'] or ''}:{job['id'][6:]}"
            chain = (*parent.chain, out) if self._train is not None else parent.chain
            state.models[name] = Model(name, parent.base, chain, refused=state.refusing in text)
            job["fine_tuned_model"] = name
            self._end(job, "succeeded")
        state.tell(job["id"], "The job has successfully completed")

    def _fail(self, job: dict[str, Any], code: str, message: str) -> None:
        with self._state.lock:
            job["error"] = {"code": code, "message": message, "param": "training_file"}
            self._end(job, "failed")
        self._state.tell(job["id"], message, "error")

    def _move(self, job: dict[str, Any], status: str) -> bool:
        with self._state.lock:
            if job["status"] not in TERMINAL:
                job["status"] = status
        return bool(job["status"] == status)

    def _end(self, job: dict[str, Any], status: str) -> None:
        job["status"], job["finished_at"] = status, self._state.now()
