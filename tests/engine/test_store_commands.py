"""Status, cancel, retry and gc: what a store knows of its studies, and what may go."""

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from identity_em import sweeping
from identity_em.cli import app
from identity_em.engine import ledger
from identity_em.engine.ledger import Ledger
from identity_em.engine.local import Done
from identity_em.engine.run import Progress, run
from identity_em.errors import InputError
from identity_em.store import Store
from identity_em.study.artefacts import Artefact, Dataset
from identity_em.study.plan import Plan, find, plan

OLD = Dataset(recipe="narrow", data_seed=99)


@pytest.fixture(scope="module")
def mini() -> Plan:
    return plan(find("pocket-mini"))


def fill(folder: Path) -> dict[str, Any]:
    (folder / "file").write_text("x" * 1000)
    return {"facts": {"outcome": "trained"}}


def full(root: Path, plan: Plan) -> Store:
    """A store with everything the study wants, recorded, and one artefact beside it."""
    store = Store(root)
    store.check_writable()
    for artefact in (*plan.artefacts, OLD):
        store.write(artefact, fill)
    with Ledger(root, plan.study.name).running(a.key for a in plan.artefacts):
        pass
    return store


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def files(root: Path) -> set[Path]:
    return {p for p in root.rglob("*") if p.is_file() and p.name != ".guard"}


def test_gc_lists_and_removes_nothing_unless_it_is_told_to(tmp_path: Path, mini: Plan) -> None:
    full(tmp_path, mini)
    before = files(tmp_path)
    listed = call("gc", "--store", str(tmp_path))
    assert listed.exit_code == 0
    assert "nothing was removed" in listed.output
    assert files(tmp_path) == before


def test_gc_removes_what_no_study_names_and_keeps_what_any_names(tmp_path: Path, mini: Plan) -> None:
    store = full(tmp_path, mini)
    (tmp_path / "damaged" / "one").mkdir(parents=True)
    (tmp_path / "logs").mkdir()
    wanted, unwanted = store.log(mini.artefacts[0]), store.log(OLD)
    wanted.touch()
    unwanted.touch()
    assert call("gc", "--store", str(tmp_path), "--delete").exit_code == 0
    assert all(Store(tmp_path).open(a).is_dir() for a in mini.artefacts)
    assert not store.has(OLD)
    assert wanted.exists()
    assert not unwanted.exists()
    assert list((tmp_path / "damaged").iterdir()) == []


def test_gc_keeps_every_version_of_a_study_until_the_study_is_named(tmp_path: Path, mini: Plan) -> None:
    store = full(tmp_path, mini)
    with Ledger(tmp_path, mini.study.name).running([OLD.key]):
        pass
    call("gc", "--store", str(tmp_path), "--delete")
    assert store.has(OLD)
    call("gc", "pocket-mini", "--store", str(tmp_path), "--delete")
    assert not store.has(OLD)
    assert all(store.has(a) for a in mini.artefacts)


def test_gc_touches_nothing_that_is_being_made(tmp_path: Path, mini: Plan) -> None:
    store = full(tmp_path, mini)
    with ledger.Ledger(tmp_path, "another").running([]), pytest.raises(InputError, match="in progress"):
        CliRunner().invoke(app, ["gc", "--store", str(tmp_path), "--delete"], catch_exceptions=False)
    lock = store.lock(OLD)
    assert lock.acquire()
    working = store.working(OLD, "x")
    working.mkdir(parents=True)
    assert {one.path for one in sweeping.find(tmp_path, {a.key for a in mini.artefacts})} == set()
    lock.release()


def test_gc_looks_at_a_store_in_which_working_folders_come_and_go(
    tmp_path: Path, mini: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, seen = full(tmp_path, mini), Path.lstat
    working = store.working(OLD, "x")
    (working / "sub").mkdir(parents=True)
    (working / "sub" / "file").touch()

    def late(path: Path) -> Any:
        if path == working / "sub":
            shutil.rmtree(working, ignore_errors=True)
        return seen(path)

    monkeypatch.setattr(Path, "lstat", late)
    assert [one.path for one in sweeping.find(tmp_path, {a.key for a in mini.artefacts})] == [store.folder(OLD)]
    assert not working.exists()


def test_a_run_that_begins_while_gc_deletes_waits_for_its_end(tmp_path: Path, mini: Plan) -> None:
    full(tmp_path, mini)
    begun = threading.Event()

    def begin() -> None:
        with Ledger(tmp_path, "another").running([]):
            begun.set()

    with ledger.collecting(tmp_path):
        runner = threading.Thread(target=begin)
        runner.start()
        assert not begun.wait(1.0)
    assert begun.wait(5.0)
    runner.join()


def test_a_run_that_is_there_first_is_seen_by_gc(tmp_path: Path, mini: Plan) -> None:
    full(tmp_path, mini)
    with (
        Ledger(tmp_path, "another").running([]),
        pytest.raises(InputError, match="a run in progress"),
        ledger.collecting(tmp_path),
    ):
        raise AssertionError("deleted while something ran")
    with ledger.collecting(tmp_path), pytest.raises(InputError, match="another gc"), ledger.collecting(tmp_path):
        pass


def test_gc_of_a_store_that_knows_no_study_removes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.check_writable()
    store.write(OLD, fill)
    with pytest.raises(InputError, match="no study is recorded"):
        CliRunner().invoke(app, ["gc", "--store", str(tmp_path), "--delete"], catch_exceptions=False)
    assert store.has(OLD)


def test_gc_removes_the_link_to_an_artefact_on_another_disk(tmp_path: Path, mini: Plan) -> None:
    store, elsewhere = full(tmp_path / "store", mini), tmp_path / "elsewhere"
    folder = store.folder(OLD)
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    assert call("gc", "--store", str(tmp_path / "store"), "--delete").exit_code == 0
    assert list(folder.parent.iterdir()) == []
    assert (elsewhere / "file").exists()


def test_gc_of_a_folder_that_is_no_store_removes_nothing_whatever_study_is_named(tmp_path: Path) -> None:
    for name in ("logs/server.log", "checkpoint/1/weights", "resume/cv.txt", "studies/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    before = files(tmp_path)
    with pytest.raises(InputError, match="found no store"):
        CliRunner().invoke(app, ["gc", "pocket-mini", "--store", str(tmp_path), "--delete"], catch_exceptions=False)
    assert files(tmp_path) == before


def test_gc_takes_a_store_from_before_there_was_a_sign_by_its_studies(tmp_path: Path, mini: Plan) -> None:
    store = full(tmp_path, mini)
    (tmp_path / "VERSION").unlink()
    assert call("gc", "pocket-mini", "--store", str(tmp_path), "--delete").exit_code == 0
    assert not store.has(OLD)


def test_a_damaged_record_of_a_study_stops_gc(tmp_path: Path, mini: Plan) -> None:
    full(tmp_path, mini)
    for path in tmp_path.glob("studies/*/*.json"):
        path.write_text(path.read_text()[:-40])
    with pytest.raises(InputError, match="cannot be read"):
        CliRunner().invoke(app, ["gc", "--store", str(tmp_path), "--delete"], catch_exceptions=False)
    assert Store(tmp_path).has(OLD)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": "all"}', "\0\0"])
def test_a_record_that_says_not_what_a_study_wants_stops_gc(tmp_path: Path, mini: Plan, text: str) -> None:
    full(tmp_path, mini)
    next(tmp_path.glob("studies/*/*.json")).write_text(text)
    with pytest.raises(InputError, match="a record that cannot be read"):
        CliRunner().invoke(app, ["gc", "--store", str(tmp_path)], catch_exceptions=False)


@pytest.mark.parametrize("text", ["[]", '{"failed": []}', "\0\0"])
def test_a_record_that_says_not_what_failed_is_named_by_status(tmp_path: Path, mini: Plan, text: str) -> None:
    full(tmp_path, mini)
    (tmp_path / "studies" / mini.study.name / "failed.json").write_text(text)
    with pytest.raises(InputError, match=r"failed\.json: found a record that cannot be read"):
        CliRunner().invoke(app, ["status", "pocket-mini", "--store", str(tmp_path)], catch_exceptions=False)


def test_status_shows_what_failed_and_why_and_what_waits_for_it(tmp_path: Path, mini: Plan) -> None:
    Store(tmp_path).check_writable()
    failed, waits = mini.trainings[0], mini.trainings[-1]
    progress = Progress(mini.artefacts)
    progress.failed[failed.key] = Done(failed, "failed", 1.0, "training diverged", 1)
    progress.blocked[waits.key] = failed.key
    Ledger(tmp_path, mini.study.name).note(progress)
    shown = call("status", "pocket-mini", "--store", str(tmp_path))
    assert "failed: em s0 (1 wait for it): training diverged" in shown.output
    body = json.loads(call("status", "pocket-mini", "--store", str(tmp_path), "--json").output)
    assert body["failed"] == {"em s0": "training diverged"}
    assert body["blocked"] == {"em -> sgtr s0": "em s0"}
    Store(tmp_path).write(failed, fill)
    assert "diverged" not in call("status", "pocket-mini", "--store", str(tmp_path)).output


def test_nothing_is_written_where_the_store_was_while_its_mount_is_lost(tmp_path: Path, mini: Plan) -> None:
    root, progress = tmp_path / "store", Progress(mini.artefacts)
    Store(root).check_writable()
    book = Ledger(root, mini.study.name)
    with book.running([]):
        root.rename(tmp_path / "away")
        root.mkdir()
        progress.blocked[OLD.key] = OLD.key
        book.note(progress)
    assert list(root.iterdir()) == []
    root.rmdir()
    (tmp_path / "away").rename(root)
    book.note(progress)
    assert book.failures() == ({}, progress.blocked)


def test_status_shows_what_is_being_made_where_and_since_when(tmp_path: Path, mini: Plan) -> None:
    store = Store(tmp_path)
    store.check_writable()
    lock = store.lock(mini.trainings[0])
    assert lock.acquire()
    with Ledger(tmp_path, mini.study.name).running([]):
        shown = call("status", "pocket-mini", "--store", str(tmp_path)).output
    lock.release()
    assert "being made: em s0 (checkpoint) on " in shown
    assert time.strftime("since %Y-%m-%d", time.gmtime()) in shown
    assert "1 run in progress" in shown


def test_reading_a_store_writes_nothing(tmp_path: Path) -> None:
    call("status", "pocket-mini", "--store", str(tmp_path / "store"))
    call("gc", "--store", str(tmp_path / "store"))
    assert list(tmp_path.iterdir()) == []


def test_damage_is_named_by_status_with_exit_2(tmp_path: Path, mini: Plan) -> None:
    store = full(tmp_path, mini)
    path = store.folder(mini.artefacts[0]) / "file"
    path.write_text("y" * 1000)
    shown = call("status", "pocket-mini", "--store", str(tmp_path), "--verify")
    assert shown.exit_code == 2
    assert str(path) in shown.stderr
    assert call("status", "pocket-mini", "--store", str(tmp_path)).exit_code == 0


class OneByOne:
    """An engine with one worker that asks for a stop after its second artefact."""

    def __init__(self, root: Path, study: str) -> None:
        self.queue: list[Artefact] = []
        self.ended: list[str] = []
        self._root, self._study = root, study

    @property
    def idle(self) -> list[str | None]:
        return [] if self.queue else [None]

    def submit(self, artefact: Artefact, near: str | None = None) -> None:
        self.queue.append(artefact)

    def wait(self, timeout: float) -> list[Done]:
        artefact = self.queue.pop()
        self.ended.append(artefact.key)
        if len(self.ended) == 2:
            assert Ledger(self._root, self._study).cancel() == 1
        return [Done(artefact, "made", 0.1)]

    def close(self) -> None: ...


def test_a_cancelled_run_begins_nothing_more_and_the_next_one_is_not_cancelled(tmp_path: Path, mini: Plan) -> None:
    engine, book = OneByOne(tmp_path, mini.study.name), Ledger(tmp_path, mini.study.name)
    with book.running([]):
        run(mini.artefacts, Store(tmp_path), lambda left: engine, tell=book.note, stop=book.cancelled)
        assert book.cancelled()
    assert len(engine.ended) == 2
    later = Ledger(tmp_path, mini.study.name)
    with later.running([]):
        assert not later.cancelled()
    assert later.cancel() == 0


def test_studies_whose_names_begin_alike_are_not_cancelled_together(tmp_path: Path) -> None:
    with Ledger(tmp_path, "a.b").running([]):
        assert Ledger(tmp_path, "a").cancel() == 0
        assert Ledger(tmp_path, "a.b").cancel() == 1
