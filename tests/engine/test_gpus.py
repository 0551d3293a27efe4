"""Local workers share this machine's GPUs out among them."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from identity_em.engine import gpus
from identity_em.engine.answering import Answering
from identity_em.engine.local import Local
from identity_em.engine.means import Means
from identity_em.errors import MissingEnvironment
from identity_em.store import Store
from identity_em.study.artefacts import Dataset

DATA = Dataset(recipe="narrow")


def machine(tmp_path: Path, count: int) -> dict[str, str]:
    """The environment of a machine whose nvidia-smi lists so many GPUs."""
    tool = tmp_path / "nvidia-smi"
    lines = "".join(f"echo 'GPU {n}: Made up (UUID: GPU-{n})'\n" for n in range(count))
    tool.write_text(f"#!/bin/sh\n{lines}")
    tool.chmod(0o755)
    return {"PATH": str(tmp_path)}


def sees(pid: int | None, gpu: str) -> bool:
    """Whether a process was started to see this GPU; for a moment it still looks like the one that starts it."""
    for _ in range(100):
        if f"{gpus.VISIBLE}={gpu}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes():
            return True
        time.sleep(0.05)
    return False


def test_the_gpus_are_those_that_the_machine_lists_unless_the_environment_names_them(tmp_path: Path) -> None:
    environment = machine(tmp_path, 8)
    assert gpus.here(environment) == tuple("01234567")
    assert gpus.here({**environment, gpus.VISIBLE: "2, 5"}) == ("2", "5")
    assert gpus.here({**environment, gpus.VISIBLE: ""}) == ()
    assert gpus.here({"PATH": ""}) == ()


def test_workers_get_disjoint_gpus_and_what_does_not_fill_a_training_is_left() -> None:
    assert gpus.shares(("0", "1", "2"), 1) == ("0", "1", "2")
    assert gpus.shares(("0", "1", "2", "3", "4"), 2) == ("0,1", "2,3")
    assert gpus.shares((), 4) == ()


def test_a_training_that_needs_more_gpus_than_there_are_is_refused() -> None:
    with pytest.raises(MissingEnvironment, match="found 2 GPUs; wanted 4 for one training"):
        gpus.shares(("0", "1"), 4)


def test_each_local_worker_sees_its_own_gpu_and_so_does_the_one_that_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(gpus.VISIBLE, "3,4")
    engine = Local(tmp_path, workers=2, means=Means(), gpus=("3", "4"))
    try:
        for worker, gpu in zip(engine._workers, "34", strict=True):
            assert sees(worker.process.pid, gpu)
        engine._workers[1].process.kill()
        engine._workers[1].process.join()
        engine.submit(DATA)
        engine.submit(DATA)
        assert sees(engine._workers[1].process.pid, "4")
    finally:
        engine.close()


def test_a_model_on_a_gpu_makes_room_for_the_trainer_and_one_on_a_cpu_stays_warm(tmp_path: Path) -> None:
    for device, kept in (("cuda", False), ("cpu", True)):
        answering = Answering(Store(tmp_path))
        answering._resident = SimpleNamespace(device=torch.device(device))  # type: ignore[assignment]
        answering.release()
        assert (answering._resident is not None) is kept
