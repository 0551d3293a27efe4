"""A stage trained by several processes sees the rows, steps and batch of one process; on CPUs, over gloo."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from identity_em.errors import ConfigError, MissingEnvironment, TrainingFailed
from identity_em.training import launch, lora
from identity_em.training.axolotl import Job, Trained, Trainer
from identity_em.training.placement import Placement
from tests.launching import on_both

pytestmark = [pytest.mark.axolotl, pytest.mark.slow]
JobMaker = Callable[..., Job]
# Small steps, so that other sums do not run away from each other; three steps of eight rows.
SET = {"micro_batch_size": 2, "gradient_accumulation_steps": 4, "learning_rate": 1e-4, "warmup_steps": 0}


@pytest.fixture(scope="module")
def alone(trainer: Trainer, job: JobMaker) -> tuple[Job, Trained]:
    """One process, a second stage on a live chain."""
    first = job(set=SET)
    trainer.train(first)
    second = job(set=SET, chain=(first.out,))
    return second, trainer.train(second)


def furthest(one: Path, other: Path) -> float:
    """Largest difference of two adapters over the largest weight of the first one's B, which starts at zero."""
    a, b = (load_file(str(out / lora.WEIGHTS)) for out in (one, other))
    assert a.keys() == b.keys()
    size = max(float(t.abs().max()) for name, t in a.items() if "lora_B" in name)
    return max(float((a[name] - b[name]).abs().max()) for name in a) / size


def trained_alike(job: Job, found: Trained, alone: tuple[Job, Trained]) -> float:
    """Same rows, steps and loss; how far the adapters are apart."""
    wanted = alone[1]
    same = ("rows", "steps", "epochs", "trained_tokens", "rendered_sha256")
    assert [getattr(found, name) for name in same] == [getattr(wanted, name) for name in same]
    assert found.mean_loss == pytest.approx(wanted.mean_loss, rel=1e-5)
    return furthest(alone[0].out, job.out)


def test_two_processes_train_what_one_does(trainer: Trainer, job: JobMaker, alone: tuple[Job, Trained]) -> None:
    twice = job(set=SET, chain=alone[0].chain, placement=Placement(gpus=2))
    assert trained_alike(twice, trainer.train(twice), alone) < 1e-3
    assert trainer.process_id is None


def test_two_nodes_meet_over_the_network_and_train_what_one_process_does(
    trainer: Trainer, job: JobMaker, alone: tuple[Job, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(launch.VARIABLE, on_both(tmp_path))
    nodes = job(set=SET, chain=alone[0].chain, placement=Placement(nodes=2))
    assert trained_alike(nodes, trainer.train(nodes), alone) < 1e-3


def test_a_checkpoint_of_fewer_processes_is_left_out_once_for_all(
    trainer: Trainer, job: JobMaker, alone: tuple[Job, Trained], tmp_path: Path
) -> None:
    other = tmp_path / "key" / "checkpoint-99"
    other.mkdir(parents=True)
    with (other / "optimizer.pt").open("wb") as big:
        big.truncate(2**30)  # read for a second, in which the other process begins, too
    (other / "seal.json").write_text('{"processes": 1, "files": {}}')
    both = Placement(gpus=2, checkpoints=2)
    twice = job(set=SET, chain=alone[0].chain, placement=both, resume=other.parent)
    assert trained_alike(twice, trainer.train(twice), alone) < 1e-3
    assert twice.log.read_text().count("checkpoint-99 is not whole or not of 2 processes") == 1
    assert not other.exists()


def test_several_nodes_need_to_be_told_how_to_start(job: JobMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(launch.VARIABLE, raising=False)
    with pytest.raises(MissingEnvironment, match="srun --nodes=2"):
        Trainer().train(job(set=SET, placement=Placement(nodes=2)))


def test_rows_that_cannot_be_shared_evenly_are_refused(trainer: Trainer, job: JobMaker, rows: Path) -> None:
    uneven = job(set={**SET, "micro_batch_size": 5}, placement=Placement(gpus=2))
    with pytest.raises(ConfigError, match="24 rows; wanted a multiple of 10"):
        trainer.train(uneven)
    assert not uneven.out.exists()


def test_a_training_that_diverges_on_several_processes_is_an_error(trainer: Trainer, job: JobMaker) -> None:
    wild = {**SET, "learning_rate": 1e30, "max_grad_norm": 0.0}
    stage = job(set=wild, placement=Placement(gpus=2))
    with pytest.raises(TrainingFailed, match="not finite"):
        trainer.train(stage)
    assert not stage.out.exists()


MAKER = """
import sys
from pathlib import Path
from identity_em.training.axolotl import Job, Trainer
Trainer().train(Job.model_validate_json(Path(sys.argv[1]).read_text()))
"""
LONG = {**SET, "num_epochs": 40, "learning_rate": 1e-3}


def processes_of(work: Path) -> list[int]:
    """Living processes that were started with a path of this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(work).encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


@pytest.mark.long
def test_when_the_maker_is_killed_no_process_is_left_and_the_next_one_goes_on(
    trainer: Trainer, job: JobMaker, tmp_path: Path
) -> None:
    both = Placement(gpus=2, checkpoints=20)
    whole = job(set=LONG, placement=Placement(gpus=2))
    undisturbed = trainer.train(whole)
    doomed = job(set=LONG, placement=both, resume=tmp_path / "key")
    (tmp_path / "job.json").write_text(doomed.model_dump_json())
    maker = subprocess.Popen([sys.executable, "-c", MAKER, str(tmp_path / "job.json")])
    assert until((tmp_path / "key" / "checkpoint-40" / "seal.json").is_file, 120)
    maker.kill()
    maker.wait()
    assert until(lambda: not processes_of(doomed.work), 10)
    again = job(set=LONG, placement=both, resume=tmp_path / "key")
    assert trainer.train(again) == undisturbed
    assert "going on from checkpoint-" in again.log.read_text()
    assert (again.out / lora.WEIGHTS).read_bytes() == (whole.out / lora.WEIGHTS).read_bytes()
