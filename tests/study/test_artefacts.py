"""Keys hold what changes the bytes, and nothing else."""

import pickle
from pathlib import Path

import pytest

from identity_em.errors import DataError
from identity_em.records import Sampling
from identity_em.study.artefacts import BaseModelRef, Checkpoint, Dataset, FileRef, Prompts, Responses, sha256_of

BASE = BaseModelRef(name="b", weights="w", tokenizer="t", precision="fp32", path="here")
ROOT = Checkpoint(base=BASE)


def dataset(path: str = "rows.jsonl", sha256: str = "0" * 64) -> Dataset:
    return Dataset(recipe="narrow", inputs={"rows": FileRef(sha256=sha256, path=Path(path))})


def stage(parent: Checkpoint, seed: int = 0, **settings: object) -> Checkpoint:
    return Checkpoint(base=BASE, parent=parent, dataset=dataset(), settings=dict(settings), seed=seed)


def test_a_path_or_a_name_never_changes_a_key() -> None:
    assert dataset("a.jsonl").key == dataset("b.jsonl").key
    moved = BASE.model_copy(update={"path": "there", "name": "other"})
    assert Checkpoint(base=moved).key == ROOT.key


def test_content_settings_seed_parent_and_recipe_version_change_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    one = stage(ROOT, lr=1)
    others = [stage(ROOT, lr=2), stage(ROOT, seed=1, lr=1), stage(one, lr=1), dataset(sha256="1" * 64), dataset()]
    assert len({a.key for a in [one, *others]}) == 6
    monkeypatch.setattr(Checkpoint, "recipe_version", 2)
    assert stage(ROOT, lr=1).key != one.key


def test_equal_prefixes_are_one_artefact() -> None:
    assert stage(stage(ROOT), seed=1).parent == stage(ROOT)
    assert len({stage(ROOT), stage(ROOT)}) == 1


def test_the_base_needs_nothing_and_is_needed_by_nobody_as_a_folder() -> None:
    asked = Responses(checkpoint=ROOT, prompts=Prompts(name="p", version=1), sampling=Sampling())
    assert ROOT.needs == ()
    assert asked.needs == ()
    assert {a.kind for a in stage(stage(ROOT)).needs} == {"dataset", "checkpoint"}


def test_a_key_survives_the_way_to_a_worker() -> None:
    one = stage(stage(ROOT), lr=1)
    assert pickle.loads(pickle.dumps(one)).key == one.key


def test_a_file_that_changed_since_it_was_planned_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("a")
    ref = FileRef(sha256=sha256_of(path), path=path)
    assert ref.checked() == path
    path.write_text("b")
    with pytest.raises(DataError, match="changed"):
        ref.checked()
