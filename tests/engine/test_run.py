"""The matrix's loop, with an engine that makes nothing."""

import time
from collections import Counter
from pathlib import Path

from identity_em.engine.local import Done
from identity_em.engine.run import Progress, run
from identity_em.store import Store
from identity_em.study.artefacts import Artefact, BaseModelRef, Checkpoint, Dataset, Prompts, Responses

ROOT = Checkpoint(base=BaseModelRef(name="b", weights="w", tokenizer="t", precision="fp32", path="p"))
DATA = Dataset(recipe="narrow")


class Pretend:
    """Two workers that end one artefact a call of `wait`, as told."""

    def __init__(self, fail: set[str] = frozenset(), busy: Counter[str] | None = None) -> None:  # type: ignore[assignment]
        self.fail, self.busy = fail, busy or Counter()
        self.queue: list[Artefact] = []
        self.order: list[Artefact] = []
        self.closed = False

    @property
    def idle(self) -> list[str | None]:
        return [None] * (2 - len(self.queue))

    def submit(self, artefact: Artefact, near: str | None = None) -> None:
        assert len(self.queue) < 2
        self.queue.append(artefact)

    def wait(self, timeout: float) -> list[Done]:
        if not self.queue:
            time.sleep(timeout)
            return []
        artefact = self.queue.pop(0)
        if self.busy[artefact.key]:
            self.busy[artefact.key] -= 1
            return [Done(artefact, "busy", 0.1)]
        self.order.append(artefact)
        if artefact.key in self.fail:
            return [Done(artefact, "failed", 0.1, "broke", 1)]
        return [Done(artefact, "made", 0.1)]

    def close(self) -> None:
        self.closed = True


def stage(parent: Checkpoint, seed: int) -> Checkpoint:
    return Checkpoint(base=ROOT.base, parent=parent, dataset=DATA, seed=seed)


def ask(checkpoint: Checkpoint) -> Responses:
    return Responses(checkpoint=checkpoint, prompts=Prompts(name="p", version=1))


ONE, OTHER = stage(ROOT, 0), stage(ROOT, 1)
TWO = stage(ONE, 0)
WANTED = [DATA, ONE, TWO, OTHER, ask(ONE), ask(TWO), ask(OTHER)]


def go(tmp_path: Path, engine: Pretend) -> Progress:
    return run(WANTED, Store(tmp_path), lambda left: engine, tell=lambda progress: None)


def test_everything_is_made_once_and_parents_come_first(tmp_path: Path) -> None:
    engine = Pretend()
    progress = go(tmp_path, engine)
    assert Counter(a.key for a in engine.order) == Counter(a.key for a in WANTED)
    place = {a.key: i for i, a in enumerate(engine.order)}
    assert all(place[p.key] < place[a.key] for a in WANTED for p in a.needs)
    assert progress.done == len(WANTED)
    assert engine.closed


def test_a_failure_blocks_what_needs_it_and_nothing_else(tmp_path: Path) -> None:
    progress = go(tmp_path, Pretend(fail={ONE.key}))
    assert set(progress.failed) == {ONE.key}
    assert set(progress.blocked) == {TWO.key, ask(ONE).key, ask(TWO).key}
    assert set(progress.made) == {DATA.key, OTHER.key, ask(OTHER).key}


def test_what_another_runner_is_making_is_tried_again_later(tmp_path: Path) -> None:
    progress = go(tmp_path, Pretend(busy=Counter({DATA.key: 2})))
    assert progress.done == len(WANTED)


def test_what_is_in_the_store_is_reused_and_what_is_damaged_there_is_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for artefact in (DATA, ONE):
        store.write(artefact, lambda folder: (folder / "f").write_text("x") and {})
    (store.folder(ONE) / "f").write_text("y")
    progress = go(tmp_path, Pretend())
    assert progress.reused == {DATA.key}
    assert ONE.key in progress.made
    assert len(progress.remade) == 1


def test_no_engine_is_started_when_nothing_is_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(DATA, lambda folder: {})

    def never(left: int) -> Pretend:
        raise AssertionError("an engine was started")

    assert run([DATA], store, never, tell=lambda progress: None).reused == {DATA.key}
