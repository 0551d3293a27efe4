"""A training killed within its stage: what the store keeps of it, for how long, and what a diverged one leaves."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity_em import sweeping
from identity_em.engine.make import Workshop
from identity_em.engine.means import Means
from identity_em.errors import TrainingFailed
from identity_em.resources import resource
from identity_em.store import Store
from identity_em.study.artefacts import Checkpoint
from identity_em.study.plan import plan
from identity_em.training.environment import find_trainer

pytestmark = [pytest.mark.axolotl, pytest.mark.slow]


def training(tmp_path: Path, **settings: Any) -> Checkpoint:
    """The em stage of the smallest preset, long enough to be killed."""
    if find_trainer() is None:
        pytest.skip("no trainer environment: `identity-em setup trainer`")
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body["stages"]["em"]["settings"] = {"num_epochs": 5, **settings}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    return plan(path).checkpoints(("em",))[0]


def made(root: Path, wanted: Checkpoint) -> Path:
    """The folder of a checkpoint, and of the dataset before it."""
    workshop = Workshop(Store(root), Means())
    workshop.store.check_writable()
    assert wanted.dataset is not None
    workshop.make(wanted.dataset)
    try:
        workshop.make(wanted)
    finally:
        workshop.close()
    return workshop.store.open(wanted)


def kill_behind(sign: Path) -> None:
    """Kill the trainer, once it has kept a checkpoint."""
    for _ in range(6000):
        if sign.is_file():
            for pid in trainers():
                os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.01)


def trainers() -> list[int]:
    """This process's own."""
    mine = f"axolotl_worker.py\0{os.getpid()}\0".encode()
    found = [path for path in Path("/proc").glob("[0-9]*/cmdline") if mine in path.read_bytes()]
    return [int(path.parent.name) for path in found]


def test_a_killed_training_is_kept_by_the_store_until_it_is_made(tmp_path: Path) -> None:
    plain = made(tmp_path / "undisturbed", training(tmp_path))
    wanted, store = training(tmp_path, checkpoints=20), Store(tmp_path / "store")
    kept = store.resuming(wanted)
    killer = threading.Thread(target=kill_behind, args=(kept / "checkpoint-60" / "seal.json",))
    killer.start()
    with pytest.raises(TrainingFailed, match="SIGKILL"):
        made(store.root, wanted)
    killer.join()
    assert not store.has(wanted)
    assert wanted.dataset is not None
    assert sweeping.find(store.root, {wanted.key, wanted.dataset.key}) == []
    assert "resume" in [one.what for one in sweeping.find(store.root, set())]
    again = made(store.root, wanted)
    assert "going on from checkpoint-" in store.log(wanted).read_text()
    assert not kept.exists()
    for file in sorted(path.name for path in (plain / "adapter").iterdir()):
        assert (again / "adapter" / file).read_bytes() == (plain / "adapter" / file).read_bytes(), file


def test_a_training_that_diverges_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    wild = training(tmp_path, learning_rate=1e30, max_grad_norm=0.0, num_epochs=1)
    with pytest.raises(TrainingFailed, match=r"not finite: training diverged; lower the learning rate; log: .*\.log"):
        made(tmp_path / "store", wild)
    assert not Store(tmp_path / "store").folder(wild).exists()
    assert list((tmp_path / "store" / "partial").iterdir()) == []
