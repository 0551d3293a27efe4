"""A disk that is full, read-only or gone, a clock that jumps, bytes that changed: one clear line, nothing half-made."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from identity_em import locks, store_state
from identity_em.engine.local import attempt
from identity_em.engine.make import Workshop
from identity_em.engine.means import Means
from identity_em.errors import DamagedArtefact, InputError, StoreFailed
from identity_em.locks import Lock
from identity_em.store import MANIFEST, Store
from identity_em.study.artefacts import Dataset
from tests.faults.conftest import Place

ONE = Dataset(recipe="narrow")


def fill(folder: Path) -> dict[str, dict[str, int]]:
    (folder / "rows.jsonl").write_text("row\n" * 3000)
    (folder / "card.md").write_text("card\n" * 1000)
    return {"facts": {"rows": 1}}


def mounted(folder: Path, options: str) -> bool:
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 1 MB."""
    folder = tmp_path / "small"
    if not mounted(folder, "size=1m"):
        pytest.skip("no file system of its own: mounting one needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def half_made(root: Path) -> list[str]:
    return [str(p) for p in (*root.glob("partial/*"), *root.glob("locks/*.lock*"), *root.glob(".VERSION.*"))]


def make(store: Store) -> None:
    """As a worker does: lock, then write."""
    with store_state.told(store.root):
        lock = store.lock(ONE)
        assert lock.acquire()
        with lock:
            store.write(ONE, fill)


def refusal(store: Store) -> str | None:
    try:
        make(store)
    except StoreFailed as error:
        return str(error)
    return None


def test_a_disk_that_is_full_at_any_write_leaves_the_artefact_whole_or_absent(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_state, "ROOM_BYTES", 0)
    block, whole = 4096, 0
    for blocks in range(14):
        root = small / "store"
        shutil.rmtree(root, ignore_errors=True)
        Store(root).check_writable()
        filler = small / "filler"
        free = os.statvfs(small).f_bavail * block
        filler.write_bytes(b"x" * max(0, free - blocks * block))
        store = Store(root)
        told = refusal(store)
        whole += told is None
        assert store.folder(ONE).exists() == (told is None)
        assert told is None or "no space left" in told
        assert half_made(root) == []
        filler.unlink()
        if not store.has(ONE):
            make(Store(root))
        assert Store(root).open(ONE).is_dir()
    assert 0 < whole < 14


def test_nothing_is_begun_where_a_manifest_would_not_fit_any_more(small: Path) -> None:
    store = Store(small / "store")
    store.check_writable()
    with pytest.raises(StoreFailed, match="no space left"):
        store.write(ONE, fill)
    assert not store.has(ONE)


def test_a_read_only_store_is_said_before_any_work_and_can_be_read(small: Path) -> None:
    remount(small, "size=16m")
    store = Store(small / "store")
    store.check_writable()
    store.write(ONE, fill)
    remount(small, "ro")
    with pytest.raises(InputError, match="cannot be written"):
        Store(small / "store").check_writable()
    assert Store(small / "store").open(ONE).is_dir()
    assert not Store(small / "store").lock(ONE).held()
    with pytest.raises(StoreFailed, match="read-only"), store_state.told(small):
        Store(small / "store").lock(Dataset(recipe="trivia")).acquire()


def test_a_mount_that_is_lost_is_said_and_its_empty_folder_is_not_written_into(tmp_path: Path) -> None:
    root = tmp_path / "store"
    Store(root).check_writable()
    store = Store(root)
    root.rename(tmp_path / "elsewhere")
    root.mkdir()
    outcome, line, code = attempt(Workshop(store, Means()), ONE)
    assert (outcome, code) == ("failed", 1)
    assert "the store is gone" in line
    assert list(root.iterdir()) == []


def test_a_mount_that_is_lost_while_an_artefact_is_made_leaves_nothing_behind(tmp_path: Path) -> None:
    root = tmp_path / "store"
    Store(root).check_writable()

    def vanishes(folder: Path) -> dict[str, dict[str, int]]:
        shutil.rmtree(root)
        root.mkdir()
        return fill(folder)

    with pytest.raises((StoreFailed, FileNotFoundError)):
        Store(root).write(ONE, vanishes)
    assert list(root.iterdir()) == []


def test_only_errors_of_a_file_system_are_told_as_the_stores(tmp_path: Path) -> None:
    with pytest.raises(ConnectionRefusedError), store_state.told(tmp_path):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")


@pytest.mark.parametrize("written", ["0", "2", "", "one", "\x00"])
def test_a_store_of_another_format_is_refused_and_never_misread(tmp_path: Path, written: str) -> None:
    (tmp_path / "VERSION").write_text(written)
    with pytest.raises(InputError, match="format") as error:
        Store(tmp_path)
    assert error.value.exit_code == 2


def test_a_store_from_before_there_were_formats_is_read_as_it_is_and_marked_by_the_next_run(tmp_path: Path) -> None:
    folder = Store(tmp_path).write(ONE, fill)
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["seal"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / "VERSION").unlink(missing_ok=True)
    store = Store(tmp_path)
    assert store.open(ONE) == folder
    store.check_writable()
    assert (tmp_path / "VERSION").read_text() == "1\n"
    assert Store(tmp_path).open(ONE) == folder


def test_no_byte_of_an_artefact_can_change_unseen(tmp_path: Path) -> None:
    folder = Store(tmp_path).write(ONE, fill)
    for path in sorted(folder.iterdir()):
        good = path.read_bytes()
        for at in range(0, len(good), 1 if path.name == MANIFEST else 997):
            path.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
            with pytest.raises(DamagedArtefact, match=path.name):
                Store(tmp_path).open(ONE)
        path.write_bytes(good[: len(good) // 2])
        with pytest.raises(DamagedArtefact, match=path.name):
            Store(tmp_path).open(ONE)
        path.write_bytes(good)
    assert Store(tmp_path).open(ONE) == folder


ELSEWHERE = json.dumps({"token": "t", "host": "elsewhere", "pid": 1, "start": "1"})


@pytest.mark.parametrize("hours", [1, 24 * 365 * 100])
def test_a_heartbeat_dated_in_the_future_does_not_make_a_lock_immortal(tmp_path: Path, hours: int) -> None:
    path, now = tmp_path / "k.lock", [1000.0]
    path.write_text(ELSEWHERE)
    ahead = time.time() + 3600 * hours
    os.utime(path, (ahead, ahead))
    assert not Lock(path, clock=lambda: now[0]).acquire()
    now[0] += locks.STALE_SECONDS - 1
    assert not Lock(path, clock=lambda: now[0]).acquire()
    now[0] += 2
    assert Lock(path, clock=lambda: now[0]).acquire()


def test_a_lock_whose_heart_beats_is_never_taken_over_however_wrong_its_clock(tmp_path: Path) -> None:
    path, now = tmp_path / "k.lock", [1000.0]
    path.write_text(ELSEWHERE)
    for beat in range(40):
        ahead = time.time() + 1e6 + beat
        os.utime(path, (ahead, ahead))
        assert not Lock(path, clock=lambda: now[0]).acquire()
        now[0] += locks.HEARTBEAT_SECONDS


def test_a_dead_hosts_lock_is_taken_over_within_a_minute(tmp_path: Path) -> None:
    assert locks.STALE_SECONDS + locks.HEARTBEAT_SECONDS < 60


def command(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "identity_em", *words], capture_output=True, text=True, check=False)


@pytest.mark.axolotl
@pytest.mark.slow
def test_a_study_on_a_disk_that_fills_up_says_so_and_goes_on_when_there_is_room(
    undisturbed: Place, small: Path
) -> None:
    place = Place(small)
    remount(small, "size=3m")
    process = place.start()
    _, err = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "no space left" in err
    assert "Traceback" not in err
    assert half_made(place.store) == []
    remount(small, "size=200m")
    kept = place.made()
    place.run()
    assert {key: place.made()[key] for key in kept} == kept
    assert place.table.read_bytes() == undisturbed.table.read_bytes()


@pytest.mark.axolotl
@pytest.mark.slow
@pytest.mark.parametrize("file", ["answers.jsonl", "scores.jsonl", "rows.jsonl", "adapter_model.safetensors", MANIFEST])
def test_a_changed_byte_is_named_by_reading_commands_with_exit_2(undisturbed: Place, place: Place, file: str) -> None:
    shutil.copytree(undisturbed.root, place.root, dirs_exist_ok=True)
    victims = sorted(place.store.rglob(file))
    for victim in victims:
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    done = command("status", "pocket-mini", "--verify", "--store", str(place.store))
    assert done.returncode == 2
    assert file in done.stderr
    assert len(done.stderr.strip().splitlines()) == len(victims)
