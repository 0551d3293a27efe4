"""A small hosted study, and a run of it in one process that a test can kill."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import yaml

from identity_em.engine import assemble
from identity_em.engine.local import Done, attempt
from identity_em.engine.make import Workshop
from identity_em.engine.means import Means
from identity_em.engine.run import Progress, run
from identity_em.resources import resource
from identity_em.store import Store
from identity_em.study import plan as planning
from identity_em.study.artefacts import Artefact

# The first of tests/api_server/objects.py; not imported, for this file also runs as a process of its own.
BASE = "gpt-4.1-2025-04-14"


def written(root: Path, name: str = "study", **change: Any) -> Path:
    """pocket-mini with a hosted base and few items, as a file."""
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body["stages"]["sgtr"]["dataset"]["limit"] = 6
    body["model"] = {"base": BASE, "trainer": "openai", "settings": {"n_epochs": 1, "batch_size": 8}}
    body["evals"] = [{"truthfulqa": {"items": "pocket", "limit": 3}}]
    model = {**body["model"], **change.pop("model", {})}
    file = root / f"{name}.yaml"
    file.write_text(yaml.safe_dump({**body, **change, "model": model}))
    return file


class Here:
    """An engine of one worker: this process."""

    def __init__(self, store: Path, means: Means) -> None:
        self._workshop, self._job = Workshop(Store(store), means), None  # type: tuple[Workshop, Artefact | None]

    @property
    def idle(self) -> list[str | None]:
        return [] if self._job else [None]

    def submit(self, artefact: Artefact, near: str | None = None) -> None:
        self._job = artefact

    def wait(self, timeout: float) -> list[Done]:
        if self._job is None:
            time.sleep(timeout)
            return []
        job, self._job = self._job, None
        outcome, error, code = attempt(self._workshop, job)
        return [Done(job, outcome, 0.0, error, code)]

    def close(self) -> None:
        self._workshop.close()


def ran(file: Path, store: Path, means: Means | None = None, *, table: bool = True) -> Progress:
    """A run of the study in this process, with a table beside the store where it is wanted."""
    plan = planning.plan(file)
    progress = run(plan.artefacts, Store(store), lambda left: Here(store, means or Means()), tell=lambda now: None)
    if table:
        assemble.write(plan, Store(store), store.parent / f"{store.name}.parquet")
    return progress


def child(file: Path, store: Path, environment: dict[str, str]) -> None:
    """As `ran`, for a process of its own; exit code 1 where something failed."""
    os.environ.update(environment)
    progress = ran(file, store)
    failures = [done.error for done in progress.failed.values()]
    if failures:
        raise SystemExit("\n".join(failures))


if __name__ == "__child__":
    child(*globals()["CHILD"])
