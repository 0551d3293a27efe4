"""A store is a folder or a bucket, and what all who share it must see is kept alike in both."""

from pathlib import Path

import pytest

from identity_em import places
from identity_em.bucket_store import BucketStore
from identity_em.buckets import Bucket
from identity_em.engine.ledger import Ledger, wanted
from identity_em.errors import InputError, MissingEnvironment, StoreFailed
from identity_em.store import Store


@pytest.fixture(params=["folder", "memory", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A store's folder, of each sort."""
    return tmp_path if request.param == "folder" else places.folder(request.getfixturevalue(request.param))


def test_a_text_is_there_once_written_and_gone_once_removed(root: Path) -> None:
    place = places.at(root)
    assert place.read("studies/a/one.json") is None
    place.write("studies/a/one.json", "1")
    place.write("studies/a/one.json", "2")
    assert place.read("studies/a/one.json") == "2"
    assert place.exists("studies/a/one.json")
    assert place.names("studies") == ["a"]
    assert place.names("studies/a") == ["one.json"]
    place.remove("studies/a/one.json")
    place.remove("studies/a/one.json")
    assert not place.exists("studies/a/one.json")
    assert place.names("studies/a") == []
    assert place.where("x") in (f"{root}/x", f"{places.named(root)}/x")


def test_two_processes_with_one_id_write_a_text_beside_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, replace = places.Folder(tmp_path), Path.replace  # containers count process ids from one

    def slow(beside: Path, path: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        place.write("studies/a/one.json", "theirs")
        return replace(beside, path)

    monkeypatch.setattr(Path, "replace", slow)
    place.write("studies/a/one.json", "ours")
    assert place.read("studies/a/one.json") == "ours"


def test_a_run_is_seen_and_stopped_from_elsewhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bucket, "pause", 0.0)
    ours = Ledger(root, "s.1")
    assert ours.runners() == []
    with ours.running(["k1", "k2"]):
        elsewhere = Ledger(root, "s.1")
        assert [isinstance(one["pid"], int) for one in elsewhere.runners()] == [True]
        assert Ledger(root, "s").cancel() == 0
        assert not ours.cancelled()
        assert elsewhere.cancel() == 1
        assert ours.cancelled()
    assert Ledger(root, "s.1").runners() == []
    assert wanted(root) == {"s.1": {"k1", "k2"}}
    assert wanted(root, but=["s.1"]) == {}


def test_a_runner_that_asks_all_the_time_whether_to_stop_asks_a_bucket_now_and_then(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, asked = Ledger(places.folder(memory), "s"), []
    monkeypatch.setattr(Bucket, "exists", lambda *_: bool(asked.append(1)))
    assert not any(ledger.cancelled() for _ in range(100))
    assert len(asked) == 1


def test_a_lock_has_one_owner_until_it_is_given_back(root: Path) -> None:
    place = places.at(root)
    first, second = place.lock("locks/k.lock"), place.lock("locks/k.lock")
    assert first.acquire()
    assert not second.acquire()
    assert second.held()
    assert second.owner() == first.owner() != {} or second.owner()["pid"]
    first.release()
    assert not second.held()
    assert second.acquire()
    second.release()
    assert place.names("locks") == []


def test_a_bucket_has_one_scratch_which_names_it(memory: str, scratch: Path) -> None:
    root = places.folder(f"{memory}/")
    assert root == places.folder(memory)
    assert root.parent == scratch
    assert places.named(root) == places.bucket(root) == memory
    assert places.folder(memory + "2") != root


def test_a_path_and_a_file_url_are_folders(tmp_path: Path) -> None:
    assert places.folder("store") == places.folder(Path("store")) == Path("store")
    assert places.folder(f"file://{tmp_path}") == tmp_path
    assert places.bucket(tmp_path) is None
    assert places.named(tmp_path) == str(tmp_path)


def test_a_url_that_names_nothing_known_is_said_in_a_line() -> None:
    with pytest.raises(InputError, match="name a bucket"):
        places.folder("s3:///prefix")
    with pytest.raises(InputError, match="found the protocol s4://"):
        Store(places.folder("s4://bucket/prefix"))


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: object, **__: object) -> None:
        raise ImportError("no gcsfs")

    monkeypatch.setattr("fsspec.core.url_to_fs", no)
    with pytest.raises(MissingEnvironment, match=r"-e '\.\[gcs\]'"):
        Store(places.folder("gs://bucket/prefix"))


def test_a_bucket_that_is_not_there_or_cannot_be_reached_is_said_in_a_line(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = s3.replace("studies", "nowhere")
    with pytest.raises(InputError, match="there is no such bucket"):
        Store(places.folder(nowhere)).check_writable()
    store = Store(places.folder(s3))

    def down(*_: object, **__: object) -> None:
        raise ConnectionError("refused")

    assert isinstance(store, BucketStore)
    monkeypatch.setattr(store.bucket._fs, "cat_file", down)
    with pytest.raises(StoreFailed, match="cannot be read or written: ConnectionError: refused"):
        Store(store.root)


def test_a_budget_is_refused_where_nothing_counts_for_all_who_spend(memory: str, tmp_path: Path) -> None:
    from identity_em.engine.means import Means
    from identity_em.engine.study import run_study
    from identity_em.study.plan import find, plan

    with pytest.raises(InputError, match="leave out --budget"):
        run_study(
            plan(find("pocket-mini")), places.folder(memory), tmp_path / "out", lambda _: None, means=Means(budget=1.0)
        )
    assert not (tmp_path / "out").exists()


def test_a_bucket_s_checkpoint_is_found_by_the_beginning_of_its_key(memory: str) -> None:
    from identity_em.manifests import Known
    from identity_em.study.artefacts import Dataset

    store, one = Store(places.folder(memory)), Dataset(recipe="narrow")
    store.write(one, lambda folder: {"facts": (folder / "rows.jsonl").write_text("row\n")})
    assert store.known("dataset", one.key[:6]) == [Known("dataset", one.key)]
    assert store.known("dataset", "zz") == store.known("checkpoint", "") == []
    assert store.manifest(Known("dataset", one.key))["facts"] == 4


def test_a_bucket_that_is_gone_for_a_moment_is_asked_again_and_one_that_stays_away_is_said(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from identity_em import buckets

    monkeypatch.setattr(buckets, "_FIRST_WAIT", 0.01)
    bucket = Bucket(memory)
    bucket.write("a/b", "x")
    away = iter([True, True, False])
    read = bucket._fs.cat_file

    def sometimes(path: str) -> bytes:
        if next(away):
            raise ConnectionError("reset")
        return bytes(read(path))

    monkeypatch.setattr(bucket._fs, "cat_file", sometimes)
    assert bucket.read("a/b") == "x"
    away = iter([True] * 1000)
    monkeypatch.setattr(buckets, "_PATIENCE", 0.2)
    with pytest.raises(StoreFailed, match="ConnectionError: reset"):
        bucket.read("a/b")
