"""The Slurm file runs a study on a real Slurm, survives a requeue, and leaves nothing behind."""

import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.faults.conftest import Place
from tests.faults.killing import processes_about, until
from tests.faults.slurm import slurm

__all__ = ["slurm"]  # a fixture

pytestmark = [pytest.mark.long, pytest.mark.slurm, pytest.mark.ray, pytest.mark.axolotl, pytest.mark.slow]
SCRIPT = Path(__file__).parents[2] / "clusters" / "slurm.sbatch"
LONGEST = 420.0


def asked(environment: Mapping[str, str], *command: str) -> str:
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_file_runs_a_study_survives_a_requeue_and_frees_everything(
    slurm: Mapping[str, str], undisturbed: Place, place: Place
) -> None:
    environment = {
        **slurm,
        "PATH": f"{Path(sys.executable).parent}:{slurm['PATH']}",
        "IDENTITY_EM_PLACE": str(place.root),
    }
    script = ["pocket-mini", "--store", str(place.store), "--out", str(place.table.parent), "--json"]
    said = asked(
        environment, "sbatch", "--parsable", "--nodes=2", "--gpus-per-node=1", "--cpus-per-task=2",
        f"--chdir={place.root}", str(SCRIPT), *script,
    )  # fmt: skip
    job = re.match(r"\d+", said)
    assert job is not None
    log = place.root / f"identity-em-{job[0]}.log"

    def state() -> str:
        return asked(environment, "scontrol", "show", "job", job[0])

    assert until(lambda: len(place.made()) >= 4, LONGEST)
    before = place.made()
    asked(environment, "scontrol", "requeue", job[0])
    assert until(lambda: "Restarts=1" in state() and "JobState=RUNNING" in state(), LONGEST)
    assert until(lambda: not re.search(r"JobState=(RUNNING|PENDING|COMPLETING)", state()), LONGEST)
    assert "JobState=COMPLETED" in state(), log.read_text(encoding="utf-8")
    assert {key: place.made()[key] for key in before} == before
    assert place.table.read_bytes() == undisturbed.table.read_bytes()
    assert not list(place.root.glob(".ray-token-*"))
    time.sleep(10)
    assert processes_about(place.root) == []
