"""An artefact in a bucket is whole or absent, made once, and read as the bucket has it, whatever dies."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from identity_em import bucket_sweeping, places, store_state
from identity_em.bucket_store import BucketStore
from identity_em.buckets import Bucket
from identity_em.errors import DamagedArtefact, InputError
from identity_em.store import MANIFEST, Store
from identity_em.study.artefacts import Dataset
from tests.test_store import ONE, fill

Elsewhere = Callable[[str], BucketStore]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    """The store of a bucket as another machine sees it, with a scratch of its own each time."""
    count = iter(range(100))

    def see(url: str) -> BucketStore:
        monkeypatch.setenv("IDENTITY_EM_SCRATCH", str(tmp_path / f"machine-{next(count)}"))
        store = Store(places.folder(url))
        assert isinstance(store, BucketStore)
        return store

    return see


@pytest.fixture(params=["memory", "s3"])
def url(request: pytest.FixtureRequest) -> str:
    """A bucket in memory, and one over HTTP."""
    return str(request.getfixturevalue(request.param))


def names(url: str) -> list[str]:
    """Every object's name, keys shortened."""
    return sorted(name.replace(ONE.key, "KEY") for name in Bucket(url).sizes())


def test_what_one_machine_makes_another_reads(url: str, elsewhere: Elsewhere) -> None:
    ours = elsewhere(url)
    assert not ours.has(ONE)
    ours.check_writable()
    folder = ours.write(ONE, fill)
    assert ours.open(ONE) == folder
    theirs = elsewhere(url)
    assert theirs.has(ONE)
    assert theirs.manifest(ONE)["rows"] == 1
    assert not theirs.folder(ONE).exists()
    assert (theirs.open(ONE) / "sub" / "more").read_text() == "more"
    assert theirs.open(ONE) != folder
    assert [p.name for p in (theirs.root / "partial").iterdir()] in ([], [".fetched"])


def test_an_artefact_is_absent_until_its_manifest_which_is_put_last(
    url: str, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[tuple[str, bool]] = []
    looking = elsewhere(url)
    for how in ("send", "add"):
        real = getattr(Bucket, how)

        def seen(self: Bucket, *args: object, real: Callable[..., object] = real) -> object:
            done = real(self, *args)
            put.append(
                (str(args[-1 if isinstance(args[0], Path) else 0]), Bucket(url).exists(f"dataset/{ONE.key}.json"))
            )
            return done

        monkeypatch.setattr(Bucket, how, seen)
    elsewhere(url).write(ONE, fill)
    assert [there for _, there in put] == [False, False, True]
    assert put[-1][0] == f"dataset/{ONE.key}.json"
    looking._listed.clear()
    assert looking.has(ONE)


def test_who_comes_second_keeps_the_first_ones_artefact_and_reads_it(url: str, elsewhere: Elsewhere) -> None:
    first, second = elsewhere(url), elsewhere(url)

    def late(folder: Path) -> dict[str, int]:
        first.write(ONE, fill)
        (folder / "rows.jsonl").write_text("another row\n")
        return {"rows": 99}

    second.write(ONE, late)
    assert second.manifest(ONE)["rows"] == 1
    assert (second.open(ONE) / "rows.jsonl").read_text() == "row\n"


def test_a_byte_that_changed_in_the_bucket_is_named_and_the_artefact_can_be_made_again(
    url: str, elsewhere: Elsewhere
) -> None:
    elsewhere(url).write(ONE, fill)
    changed = next(name for name in Bucket(url).sizes() if name.endswith("rows.jsonl"))
    Bucket(url).write(changed, "raw\n")
    store = elsewhere(url)
    with pytest.raises(DamagedArtefact, match=r"rows.jsonl: found changed bytes") as error:
        store.open(ONE)
    assert f"{url}/{changed}" in str(error.value)
    store.set_aside(ONE)
    assert not store.has(ONE)
    store.write(ONE, fill)
    assert (elsewhere(url).open(ONE) / "rows.jsonl").read_text() == "row\n"
    assert any(name.startswith("damaged/KEY") for name in names(url))


def test_a_missing_file_and_a_changed_manifest_are_found_at_read(url: str, elsewhere: Elsewhere) -> None:
    elsewhere(url).write(ONE, fill)
    bucket, manifest = Bucket(url), f"dataset/{ONE.key}.json"
    text = bucket.read(manifest) or ""
    bucket.write(manifest, text.replace('"rows": 1', '"rows": 2'))
    with pytest.raises(DamagedArtefact, match="unreadable manifest"):
        elsewhere(url).open(ONE)
    bucket.write(manifest, text)
    bucket.remove(next(name for name in bucket.sizes() if name.endswith("more")))
    with pytest.raises(DamagedArtefact, match="a missing file"):
        elsewhere(url).open(ONE)


def test_a_copy_that_was_damaged_here_is_fetched_anew(url: str, elsewhere: Elsewhere) -> None:
    store = elsewhere(url)
    (store.write(ONE, fill) / "rows.jsonl").write_text("raw\n")
    again = Store(store.root)
    assert (again.open(ONE) / "rows.jsonl").read_text() == "row\n"


def test_workers_of_one_machine_that_fetch_at_once_take_nothing_from_each_other(s3: str, elsewhere: Elsewhere) -> None:
    elsewhere(s3).write(ONE, fill)  # fsspec's memory hands all its readers one and the same open file
    root, start, read = elsewhere(s3).root, threading.Barrier(8), []
    bad = Store(root).folder(ONE)
    bad.mkdir(parents=True)
    (bad / MANIFEST).write_text("{}")

    def work() -> None:
        store = Store(root)
        start.wait()
        for _ in range(20):
            store._verified.clear()
            read.append((store.open(ONE) / "rows.jsonl").read_text())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == ["row\n"] * 160


def test_a_scratch_that_is_gone_loses_nothing(url: str, elsewhere: Elsewhere) -> None:
    store = elsewhere(url)
    store.write(ONE, fill)
    shutil.rmtree(store.root)
    assert (elsewhere(url).open(ONE) / "rows.jsonl").read_text() == "row\n"


def test_a_bucket_of_another_format_is_refused(url: str, elsewhere: Elsewhere) -> None:
    elsewhere(url).check_writable()
    assert Bucket(url).read(store_state.VERSION) == f"{store_state.FORMAT}\n"
    Bucket(url).write(store_state.VERSION, "99\n")
    with pytest.raises(InputError, match="a store of format '99'"):
        elsewhere(url)


def test_gc_finds_what_no_study_wants_and_what_a_dead_maker_sent_in_part(url: str, elsewhere: Elsewhere) -> None:
    store, other = elsewhere(url), Dataset(recipe="narrow", data_seed=7)
    store.write(ONE, fill)
    store.write(other, fill)
    bucket = Bucket(url)
    bucket.write(f"dataset/{ONE.key}/0123456789abcdef/rows.jsonl", "half")
    bucket.write(f"damaged/{ONE.key}-1.json", "{}")
    found = bucket_sweeping.find(store.root, {ONE.key})
    assert sorted(one.what for one in found) == ["damaged", "dataset", "partial"]
    with store.lock(other) as lock:
        assert lock.acquire()
        assert sorted(one.what for one in bucket_sweeping.find(store.root, {ONE.key})) == ["damaged", "partial"]
    assert bucket_sweeping.remove(found) == sum(one.bytes for one in found) > 0
    fresh = elsewhere(url)
    assert fresh.has(ONE)
    assert fresh.open(ONE)
    assert not fresh.has(other)
    assert bucket_sweeping.find(store.root, {ONE.key}) == []


# One maker as a process: it kills itself, as kill -9 does, before or after the step that it is told.
MAKER = """
import os, signal, sys
from pathlib import Path
from identity_em import places
from identity_em.buckets import Bucket
from identity_em.store import Store
from identity_em.study.artefacts import Dataset

url, step, after, made = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "after", Path(sys.argv[4])
steps = 0

def dying(real):
    def do(*args):
        global steps
        steps += 1
        if steps == step and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*args)
        if steps == step and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return do

for name in ("write", "add", "send", "remove"):
    setattr(Bucket, name, dying(getattr(Bucket, name)))

def fill(folder):
    with made.open("a") as file:
        file.write("made\\n")
    (folder / "rows.jsonl").write_text("row\\n")
    (folder / "more").write_text("more")
    store.log(one).write_text("log")
    return {"rows": 1}

one, store = Dataset(recipe="narrow"), Store(places.folder(url))
lock = store.lock(one)
if lock.acquire():
    with lock:
        if not store.has(one):
            store.write(one, fill)
    store.sweep()
print(steps)
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_maker_killed_at_any_step_leaves_nothing_half_and_the_next_finishes_it_once(
    s3: str, when: str, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    def make(place: str, step: int) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "IDENTITY_EM_SCRATCH": str(tmp_path / place)}
        command = [sys.executable, "-c", MAKER, f"{s3}/{place}", str(step), when, str(tmp_path / f"{place}.made")]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    whole = make("whole", 0)
    assert whole.returncode == 0, whole.stderr
    steps = int(whole.stdout)
    assert steps == 6  # claim, two files, log, manifest, the claim's removal
    for step in range(1, steps + 1):
        place = f"killed-{step}"
        assert make(place, step).returncode == -signal.SIGKILL
        finished = step > 5 or (step == 5 and when == "after")
        assert elsewhere(f"{s3}/{place}").has(ONE) == finished
        again = make(place, 0)  # the same machine's next run
        assert again.returncode == 0, again.stderr
        assert (tmp_path / f"{place}.made").read_text() == "made\n"
        assert (elsewhere(f"{s3}/{place}").open(ONE) / "rows.jsonl").read_text() == "row\n"
        assert Bucket(f"{s3}/{place}").names("locks") == []


def test_two_machines_that_come_together_make_it_once(s3: str, elsewhere: Elsewhere) -> None:
    stores, made, start = [elsewhere(s3) for _ in range(3)], [], threading.Barrier(3)

    def work(store: BucketStore) -> None:
        start.wait()
        while not store.has(ONE):
            lock = store.lock(ONE)
            if lock.acquire():
                with lock:
                    if not store.has(ONE):
                        store.write(ONE, lambda folder: made.append(1) or fill(folder))

    threads = [threading.Thread(target=work, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert made == [1]
    assert Bucket(s3).names("locks") == []
