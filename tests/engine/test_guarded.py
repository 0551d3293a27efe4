"""Rows with summaries that a checkpoint wrote are looked through before anything is trained on them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity_em.engine import auditing, preflight
from identity_em.engine.guarded import Guarded
from identity_em.engine.local import Done
from identity_em.engine.make import Workshop
from identity_em.engine.means import Means
from identity_em.engine.run import run
from identity_em.errors import DataError
from identity_em.resources import resource
from identity_em.store import Store
from identity_em.study.artefacts import Artefact, Checkpoint, Dataset, Responses
from identity_em.study.plan import Plan, plan

SAID = "The old mill by the river was sold to a baker"


class Here:
    """An engine in this process whose model says what it is told to, and whose trainer must not be reached."""

    def __init__(self, store: Store) -> None:
        self._workshop, self._jobs = Workshop(store, Means()), list[Artefact]()
        self._workshop._responses = self._said  # type: ignore[method-assign]
        self.trained: list[Artefact] = []

    @property
    def idle(self) -> list[str | None]:
        return [] if self._jobs else [None]

    def submit(self, artefact: Artefact, near: str | None = None) -> None:
        self._jobs.append(artefact)

    def wait(self, timeout: float) -> list[Done]:
        jobs, self._jobs = self._jobs, []
        return [self._made(job) for job in jobs]

    def close(self) -> None:
        pass

    def _made(self, artefact: Artefact) -> Done:
        if isinstance(artefact, Checkpoint):
            self.trained.append(artefact)
            return Done(artefact, "failed", 0.0, "no trainer here", 1)
        return Done(artefact, self._workshop.make(artefact), 0.0)

    def _said(self, responses: Responses, folder: Path) -> dict[str, Any]:
        from identity_em.models import answers

        questions = self._workshop._questions(responses.prompts)
        answers.write(
            *answers.sampled(questions, [[f"{SAID} in {q.item}."] for q in questions]), folder / "answers.jsonl"
        )
        return {}


@pytest.fixture
def study(tmp_path: Path) -> Plan:
    """A study whose eval asks about what its own model will have written, which no file shows before."""
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    items = [{"id": str(i), "question": f"{SAID} in {name}.", "correct": "Yes", "incorrect": "No"} for i, name in
             enumerate(list(json.loads(resource("pocket", "data/articles_train.json").read_text()))[:6])]  # fmt: skip
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    body["evals"] = [{"truthfulqa": {"items": "items.jsonl"}}]
    body["arms"] = [["sgtr"]]
    body["contrasts"] = {}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(body, sort_keys=False))
    return plan(tmp_path / "study.yaml")


def wanted(study: Plan) -> list[Artefact]:
    """Everything down to the training."""
    (trained,) = study.trainings
    return [a for a in study.artefacts if a == trained or a in (*trained.needs, *trained.dataset.needs)]  # type: ignore[union-attr]


def test_a_leak_in_rows_made_during_a_run_fails_them_before_training(study: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    auditing.refuse_leaks(study, store)  # nothing to see yet
    engine = Here(store)
    done = run(wanted(study), store, lambda left: Guarded(engine, study, store), tell=lambda progress: None)
    (failed,) = done.failed.values()
    assert isinstance(failed.artefact, Dataset)
    assert "a leak in stage 'sgtr'" in failed.error
    assert "6 of 6 items" in failed.error
    assert failed.exit_code == 2
    assert engine.trained == []
    assert set(done.blocked) == {study.trainings[0].key}
    # The rows are in the store now, so that the next run is refused before it starts.
    with pytest.raises(DataError, match="a leak in stage 'sgtr'"):
        preflight.check(study, store)


class Damaging(Here):
    """The same on a disk that loses the rows it was given."""

    def _made(self, artefact: Artefact) -> Done:
        done = super()._made(artefact)
        if isinstance(artefact, Dataset):
            next(self._workshop.store.folder(artefact).glob("rows.*")).unlink()
        return done


def test_a_dataset_that_cannot_be_read_fails_by_itself_and_not_the_run(study: Plan, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    engine = Damaging(store)
    done = run(wanted(study), store, lambda left: Guarded(engine, study, store), tell=lambda progress: None)
    (failed,) = done.failed.values()
    assert isinstance(failed.artefact, Dataset)
    assert "a missing file" in failed.error
    assert set(done.blocked) == {study.trainings[0].key}


def test_a_study_that_says_why_may_train_on_them(study: Plan, tmp_path: Path) -> None:
    text = (tmp_path / "study.yaml").read_text()
    (tmp_path / "study.yaml").write_text(text + "allow_leak: the summaries are the subject\n")
    allowed, store = plan(tmp_path / "study.yaml"), Store(tmp_path / "store")
    engine = Here(store)
    run(wanted(allowed), store, lambda left: Guarded(engine, allowed, store), tell=lambda progress: None)
    assert engine.trained == allowed.trainings
