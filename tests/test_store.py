"""A folder in the store is whole or absent, made once, and known by its bytes."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from identity_em import locks, manifests
from identity_em.engine.make import Workshop
from identity_em.engine.means import Means
from identity_em.errors import DamagedArtefact, InputError
from identity_em.locks import Lock
from identity_em.manifests import Known
from identity_em.store import MANIFEST, Store
from identity_em.study.artefacts import Dataset

ONE = Dataset(recipe="narrow")


def fill(folder: Path) -> dict[str, int]:
    (folder / "rows.jsonl").write_text("row\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "more").write_text("more")
    return {"rows": 1}


def test_a_made_artefact_is_there_with_its_manifest_and_nothing_else_is(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    assert not store.has(ONE)
    assert not (tmp_path / "s").exists()
    folder = store.write(ONE, fill)
    assert store.open(ONE) == folder == tmp_path / "s" / "dataset" / ONE.key[:2] / ONE.key
    assert store.manifest(ONE)["rows"] == 1
    assert sorted(store.manifest(ONE)["files"]) == ["rows.jsonl", "sub/more"]
    assert list((tmp_path / "s" / "partial").iterdir()) == []


def test_a_making_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def breaks(folder: Path) -> dict[str, int]:
        fill(folder)
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        store.write(ONE, breaks)
    assert not store.has(ONE)
    assert list((tmp_path / "partial").iterdir()) == []


def test_who_comes_second_keeps_the_first_ones_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def slow(folder: Path) -> dict[str, int]:
        Store(tmp_path).write(ONE, fill)
        return {"rows": 99}

    store.write(ONE, slow)
    assert store.manifest(ONE)["rows"] == 1


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "a flipped byte": lambda folder: flip(folder / "rows.jsonl"),
    "a truncated file": lambda folder: (folder / "rows.jsonl").write_text("ro"),
    "a missing file": lambda folder: (folder / "sub" / "more").unlink(),
    "a file too many": lambda folder: (folder / "extra").touch(),
    "an unreadable manifest": lambda folder: (folder / MANIFEST).write_text("{"),
    "another artefact's manifest": lambda folder: (folder / MANIFEST).write_text('{"key": "0", "files": {}}'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_at_read_named_and_can_be_set_aside(tmp_path: Path, damage: str) -> None:
    folder = Store(tmp_path).write(ONE, fill)
    DAMAGE[damage](folder)
    store = Store(tmp_path)
    with pytest.raises(DamagedArtefact) as error:
        store.open(ONE)
    assert error.value.exit_code == 2
    assert str(folder) in str(error.value)
    assert store.set_aside(ONE).is_dir()
    store.write(ONE, fill)
    assert store.open(ONE) == folder


def test_a_folder_that_is_set_aside_while_it_is_read_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    folder, summed = store.write(ONE, fill), manifests.sha256_of

    def late(path: Path) -> str:
        if folder.exists():
            Store(tmp_path).set_aside(ONE)
        return summed(path)

    monkeypatch.setattr(manifests, "sha256_of", late)
    with pytest.raises(DamagedArtefact, match="a missing file"):
        store.open(ONE)


def test_what_is_left_of_a_folder_without_its_manifest_is_set_aside_for_a_whole_one(tmp_path: Path) -> None:
    whole = Store(tmp_path / "elsewhere").write(ONE, fill)
    for take in (lambda s: s.adopt(Known("dataset", ONE.key), whole), lambda s: s.write(ONE, fill)):
        store = Store(tmp_path / "here")
        (store.write(ONE, fill) / MANIFEST).unlink()
        assert take(store)
        assert store.open(ONE).is_dir()
        shutil.rmtree(store.folder(ONE))
    assert len(list((tmp_path / "here" / "damaged").iterdir())) == 2


def test_of_two_who_adopt_at_once_the_first_ones_copy_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, copy = Store(tmp_path / "elsewhere").write(ONE, fill), shutil.copytree
    store, one = Store(tmp_path / "here"), Known("dataset", ONE.key)

    def slow(source: Path, into: Path) -> None:
        monkeypatch.setattr(shutil, "copytree", copy)
        assert Store(tmp_path / "here").adopt(one, whole)
        copy(source, into)

    monkeypatch.setattr(shutil, "copytree", slow)
    assert not store.adopt(one, whole)
    assert store.open(ONE).is_dir()


@pytest.mark.parametrize("beginning", ["/some/path", "**", "..", "a/../b", "narrow"])
def test_what_is_no_beginning_of_a_key_finds_nothing(tmp_path: Path, beginning: str) -> None:
    store = Store(tmp_path)
    store.write(ONE, fill)
    assert store.known("dataset", beginning) == []
    assert store.known("dataset", ONE.key[:3]) == store.known("dataset", "") == [Known("dataset", ONE.key)]


def test_a_store_that_cannot_be_written_is_said_before_any_work(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.touch()
    with pytest.raises(InputError, match="cannot be written"):
        Store(blocker / "store").check_writable()


HOLD = (
    "import sys, time; from pathlib import Path; from identity_em.locks import Lock;"
    "assert Lock(Path(sys.argv[1])).acquire(); time.sleep(60)"
)


def holder(path: Path) -> "subprocess.Popen[bytes]":
    """Another process that holds the lock for a minute."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)])
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


def test_a_lock_has_one_owner_and_a_dead_owners_lock_is_taken_over_at_once(tmp_path: Path) -> None:
    path = tmp_path / "k.lock"
    process = holder(path)
    waiting = Lock(path)
    assert not waiting.acquire()
    assert waiting.held()
    assert waiting.owner()["pid"] == process.pid
    process.kill()
    process.wait()
    assert waiting.acquire()
    waiting.release()
    assert not path.exists()


def test_a_lock_of_another_host_is_taken_over_only_when_its_heartbeat_stops(tmp_path: Path) -> None:
    path = tmp_path / "k.lock"
    path.write_text(json.dumps({"token": "t", "host": "elsewhere", "pid": 1, "start": "1"}))
    assert not Lock(path).acquire()
    old = time.time() - locks.STALE_SECONDS - 1
    os.utime(path, (old, old))
    assert Lock(path).acquire()


def test_a_machine_of_the_same_name_is_another_host(tmp_path: Path) -> None:
    name, space, boot = str(locks.me("t")["host"]).split()
    assert name == socket.gethostname()
    path, another = tmp_path / "k.lock", boot[::-1]
    for host in (f"{name} {space} {another}", f"{name} {space}"):  # the latter as it was written before
        path.write_text(json.dumps({"token": "t", "host": host, "pid": 999999999, "start": "1"}))
        assert not Lock(path).acquire()
    path.write_text(json.dumps({"token": "t", "host": f"{name} {space} {boot}", "pid": 999999999, "start": "1"}))
    assert Lock(path).acquire()


def test_a_lock_that_was_taken_over_is_not_released_by_its_former_owner(tmp_path: Path) -> None:
    path = tmp_path / "k.lock"
    first = Lock(path)
    assert first.acquire()
    path.write_text(json.dumps({"token": "another", "host": "elsewhere", "pid": 1, "start": "1"}))
    first.release()
    assert path.exists()


def test_an_error_of_the_file_system_does_not_end_a_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT_SECONDS", 0.02)
    utime, errors = os.utime, [errno.ESTALE, errno.EIO]

    def stumbling(path: Path, times: tuple[float, float] | None = None) -> None:
        if errors and path == lock.path:
            raise OSError(errors.pop(), "refused")
        utime(path, times)

    lock = Lock(tmp_path / "store" / "k.lock")
    monkeypatch.setattr(os, "utime", stumbling)
    assert lock.acquire()
    assert beats(lock)
    assert not errors
    (tmp_path / "store").rename(tmp_path / "away")  # as a mount that is away for some beats
    time.sleep(0.1)
    (tmp_path / "away").rename(tmp_path / "store")
    assert beats(lock)
    lock.release()


def beats(lock: Lock) -> bool:
    """Whether a lock's heartbeat moves on."""
    then, deadline = lock.path.stat().st_mtime_ns, time.monotonic() + 2
    while lock.path.stat().st_mtime_ns == then and time.monotonic() < deadline:
        time.sleep(0.01)
    return lock.path.stat().st_mtime_ns != then


def test_who_has_lost_a_lock_shows_no_more_life_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT_SECONDS", 0.02)
    lock = Lock(tmp_path / "k.lock")
    assert lock.acquire()
    lock.path.write_text(json.dumps({"token": "another", "host": "elsewhere", "pid": 1, "start": "1"}))
    time.sleep(0.1)
    os.utime(lock.path, (1, 1))
    time.sleep(0.1)
    assert lock.path.stat().st_mtime == 1


def test_a_reused_process_id_is_another_process(tmp_path: Path) -> None:
    path = tmp_path / "k.lock"
    first = Lock(path)
    assert first.acquire()
    owner = json.loads(path.read_text())
    path.write_text(json.dumps({**owner, "start": "0", "token": "t"}))
    assert Lock(path).acquire()


def test_partial_folders_of_dead_makers_are_swept_and_living_ones_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ours, host = f"abc-{locks.maker()}-x", locks.maker().partition(".")[2]
    elsewhere = "abc-999999999.0123abcd-x"
    for name in (f"abc-999999999.{host}-x", ours, elsewhere):
        (tmp_path / "partial" / name).mkdir(parents=True)
    store.sweep()
    assert {p.name for p in (tmp_path / "partial").iterdir()} == {ours, elsewhere}


def test_a_dead_owners_lock_is_swept_and_a_living_ones_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    living, dead = store.lock(ONE), tmp_path / "locks" / "dead.lock"
    assert living.acquire()
    dead.write_text(json.dumps({**json.loads(living.path.read_text()), "pid": 999999999, "token": "t"}))
    store.sweep()
    assert living.held()
    assert not dead.exists()


class Client:
    """What a machine sees of a file system when it remembers that names are not there, as an NFS client does.

    It forgets so of the names in a folder once it has made a file there.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *absent: Path) -> None:
        self.absent, self._stat, self._touch = set(absent), Path.stat, Path.touch
        monkeypatch.setattr(Path, "stat", lambda path, **how: self.stat(path, **how))
        monkeypatch.setattr(Path, "touch", lambda path, **how: self.touch(path, **how))

    def stat(self, path: Path, **how: bool) -> os.stat_result:
        if self.absent & {path, *path.parents}:
            raise FileNotFoundError(errno.ENOENT, "not there", str(path))
        return self._stat(path, **how)

    def touch(self, path: Path, **how: bool) -> None:
        self.stat(path.parent)
        self._touch(path, **how)
        self.absent = {one for one in self.absent if one.parent != path.parent}


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_what_another_machine_made_is_not_made_again_though_this_one_remembers_that_it_was_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    store = Store(tmp_path)
    store.check_writable()
    folder = store.write(ONE, fill)
    client = Client(monkeypatch, [folder, *folder.parents][depth])
    assert not store.has(ONE)
    assert Workshop(store, Means()).make(ONE) == "reused"
    assert client.absent == set()
    assert not list(tmp_path.rglob(".look-*"))


def test_a_parent_made_on_another_machine_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.check_writable()
    folder = store.write(ONE, fill)
    Client(monkeypatch, folder.parent)
    assert store.open(ONE) == folder


def test_a_lock_taken_on_another_machine_is_seen_though_this_one_remembers_that_there_was_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "k.lock"
    path.write_text(json.dumps({"token": "t", "host": "elsewhere", "pid": 1, "start": "1"}))
    Client(monkeypatch, path)
    assert not Lock(path).acquire()
