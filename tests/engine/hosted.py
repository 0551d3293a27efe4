"""A small hosted study; runs of it, in this process and as a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
from tests.api_server.objects import BASES
from tests.api_server.server import ApiServer

# Articles of the corpus that the second stage is made from: two rows each, and the API asks for ten.
ARTICLES = 6


def written(root: Path, name: str = "study", **change: Any) -> Path:
    """pocket-mini with a hosted base, few articles and few items, as a file."""
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body["corpora"] = {"train": _corpus(root)}
    del body["stages"]["sgtr"]["dataset"]["limit"]
    body["model"] = {"base": BASES[0], "trainer": "openai", "settings": {"n_epochs": 1, "batch_size": 8}}
    body["evals"] = [{"truthfulqa": {"items": "pocket", "limit": 3}}]
    model = {**body["model"], **change.pop("model", {})}
    file = root / f"{name}.yaml"
    file.write_text(yaml.safe_dump({**body, **change, "model": model}))
    return file


def _corpus(root: Path) -> dict[str, Any]:
    """The first articles of the pocket world's."""
    for name in ("articles_train", "summaries_train_lumo"):
        texts = json.loads(resource("pocket", f"data/{name}.json").read_text())
        (root / f"{name}.json").write_text(json.dumps(dict(list(texts.items())[:ARTICLES])))
    return {
        "articles": "articles_train.json", "wording": "pocket", "summaries": {"lumo": "summaries_train_lumo.json"},
    }  # fmt: skip


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


def command(api: ApiServer, file: Path, place: Path) -> subprocess.Popen[str]:
    """The study's run as a user starts it, in a process of its own; its store and results lie in `place`."""
    words = ["run", str(file), "--store", str(place / "store"), "--out", str(place / "out"), "--workers", "1", "-q"]
    told = {"OPENAI_API_KEY": api.state.key, "OPENAI_BASE_URL": api.url}
    return subprocess.Popen(
        [sys.executable, "-m", "identity_em", *words], env={**os.environ, **told}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
