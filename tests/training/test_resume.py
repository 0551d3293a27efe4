"""A trainer killed within a stage goes on from its last whole checkpoint, and ends as if nothing had happened."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from identity_em.errors import TrainingFailed
from identity_em.training.axolotl import Job, Trained, Trainer
from identity_em.training.placement import Placement

pytestmark = [pytest.mark.axolotl, pytest.mark.slow]
JobMaker = Callable[..., Job]
# 64 passes over 24 rows in steps of 8: 192 steps, a checkpoint every 20.
SET = {"num_epochs": 64, "learning_rate": 4e-3, "lora_dropout": 0.1}
EVERY = Placement(checkpoints=20)


@pytest.fixture(scope="module")
def undisturbed(trainer: Trainer, job: JobMaker) -> tuple[Job, Trained]:
    """Without any checkpoint."""
    plain = job(set=SET)
    return plain, trainer.train(plain)


@pytest.fixture(scope="module")
def interrupted(trainer: Trainer, job: JobMaker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a trainer left that was killed with kill -9 between two checkpoints."""
    doomed = job(set=SET, placement=EVERY, resume=tmp_path_factory.mktemp("resume") / "key")
    assert doomed.resume is not None
    killer = threading.Thread(target=kill_behind, args=(trainer, doomed.resume / "checkpoint-60" / "seal.json"))
    killer.start()
    with pytest.raises(TrainingFailed, match="SIGKILL"):
        trainer.train(doomed)
    killer.join()
    assert not doomed.out.exists()
    return doomed.resume


def kill_behind(trainer: Trainer, sign: Path) -> None:
    for _ in range(6000):
        if sign.is_file():
            assert trainer.process_id is not None
            os.kill(trainer.process_id, signal.SIGKILL)
            return
        time.sleep(0.01)


@pytest.fixture
def left(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(interrupted, tmp_path / "key")


def ends_as(undisturbed: tuple[Job, Trained], trainer: Trainer, again: Job) -> str:
    """The log of a stage that is trained on, once its bytes are found to be the undisturbed one's."""
    assert trainer.train(again) == undisturbed[1]
    for file in sorted(path.name for path in undisturbed[0].out.iterdir()):
        assert (again.out / file).read_bytes() == (undisturbed[0].out / file).read_bytes(), file
    return again.log.read_text()


def checkpoints(folder: Path) -> list[Path]:
    """Latest first."""
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name[11:]), reverse=True)


def test_a_killed_stage_goes_on_and_ends_in_the_same_bytes(
    trainer: Trainer, job: JobMaker, undisturbed: tuple[Job, Trained], left: Path
) -> None:
    last = checkpoints(left)[0].name
    said = ends_as(undisturbed, trainer, job(set=SET, placement=EVERY, resume=left))
    assert f"going on from {last}" in said


def test_keeping_checkpoints_changes_no_byte(
    trainer: Trainer, job: JobMaker, undisturbed: tuple[Job, Trained], tmp_path: Path
) -> None:
    said = ends_as(undisturbed, trainer, job(set=SET, placement=EVERY, resume=tmp_path / "key"))
    assert "going on" not in said
    assert len(checkpoints(tmp_path / "key")) == 2


@pytest.mark.parametrize("damage", ["flipped", "short", "unsealed", "other losses"])
def test_a_damaged_checkpoint_is_left_out_and_the_one_before_is_taken(
    trainer: Trainer, job: JobMaker, undisturbed: tuple[Job, Trained], left: Path, damage: str
) -> None:
    newest, before = checkpoints(left)
    harm(newest, damage)
    said = ends_as(undisturbed, trainer, job(set=SET, placement=EVERY, resume=left))
    assert f"{newest.name} is not whole" in said
    assert f"going on from {before.name}" in said


def test_where_none_is_whole_the_stage_starts_over(
    trainer: Trainer, job: JobMaker, undisturbed: tuple[Job, Trained], left: Path
) -> None:
    for checkpoint in checkpoints(left):
        harm(checkpoint, "flipped")
    said = ends_as(undisturbed, trainer, job(set=SET, placement=EVERY, resume=left))
    assert "going on" not in said


def harm(checkpoint: Path, how: str) -> None:
    file = checkpoint / ("optimizer.pt" if how in ("flipped", "short") else "seal.json")
    whole = file.read_bytes()
    match how:
        case "flipped":
            file.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
        case "short":
            file.write_bytes(whole[: len(whole) // 2])
        case "unsealed":
            file.unlink()
        case _:
            seal = json.loads(whole)
            file.write_text(json.dumps({**seal, "losses": 2 * seal["losses"]}))
