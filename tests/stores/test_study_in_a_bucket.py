"""A whole study in a bucket over HTTP ends in the table of a run in a folder, also where a machine is lost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from identity_em.buckets import Bucket
from identity_em.resources import resource
from tests.faults.conftest import STUDY, Place, ended, undisturbed
from tests.faults.killing import until

__all__ = ["undisturbed"]  # a fixture


Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(s3: str, tmp_path: Path) -> Iterator[Start]:
    """Starts the study's run in the bucket on what might be a machine of its own: it has its own scratch."""
    started = []

    def run(machine: str) -> "subprocess.Popen[str]":
        folder = tmp_path / machine
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "identity_em", "run", STUDY, "--store", s3, "--out", "out", "--workers", "1"]
        started.append(
            subprocess.Popen(
                [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
                env={**os.environ, "IDENTITY_EM_SCRATCH": str(folder / "scratch")},
            )
        )  # fmt: skip
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def manifests(url: str) -> Mapping[str, float | None]:
    """Every finished artefact, and when it was put there."""
    bucket = Bucket(url)
    return {
        f"{kind}/{name}": bucket.modified(f"{kind}/{name}")
        for kind in ("checkpoint", "dataset", "responses", "scores")
        for name in bucket.names(kind)
        if name.endswith(".json")
    }


def said(url: str, *command: str) -> "subprocess.CompletedProcess[str]":
    """A command about the study in the bucket."""
    return subprocess.run(
        [sys.executable, "-m", "identity_em", *command, "--store", url], capture_output=True, text=True, check=False
    )


@pytest.mark.axolotl
@pytest.mark.long
def test_two_machines_of_which_one_is_lost_make_everything_once_and_the_table_is_a_folders(
    undisturbed: Place,
    s3: str,
    start: Start,
    tmp_path: Path,
) -> None:
    one, two = start("first"), start("second")
    assert until(lambda: len(manifests(s3)) > 8, 240)
    two.kill()
    two.communicate()
    kept = manifests(s3)
    seen: dict[str, Any] = json.loads(said(s3, "status", STUDY, "--json").stdout)
    assert seen["there"] >= len(kept)
    assert len(seen["runs"]) == 1
    two = start("second")
    sums = [ended(process)["artefacts"] for process in (one, two)]
    assert all(one["made"] + one["reused"] == 32 for one in sums)
    assert {name: manifests(s3)[name] for name in kept} == kept
    assert len(manifests(s3)) == 32
    for machine in (tmp_path / "first", tmp_path / "second"):
        assert (machine / "out" / "table.parquet").read_bytes() == undisturbed.table.read_bytes()
    assert Bucket(s3).names("locks") == Bucket(s3).names("runs") == []

    begun = time.monotonic()
    assert ended(start("third"))["artefacts"] == {"made": 0, "reused": 32, "failed": 0, "blocked": 0}
    assert time.monotonic() - begun < 60
    assert (tmp_path / "third" / "out" / "table.parquet").read_bytes() == undisturbed.table.read_bytes()

    swept = said(s3, "gc")
    assert "nothing was removed" in swept.stdout
    assert said(s3, "cancel", STUDY).returncode == 2
    assert said(s3, "status", STUDY, "--verify").returncode == 0

    bucket = Bucket(s3)
    scores = next(name for name in bucket.sizes() if name.endswith("scores.jsonl"))
    bucket.write(scores, (bucket.read(scores) or "").replace("0", "1", 1))
    assert ended(start("fourth"))["artefacts"]["made"] == 1
    assert (tmp_path / "fourth" / "out" / "table.parquet").read_bytes() == undisturbed.table.read_bytes()


@pytest.mark.axolotl
def test_a_budget_and_a_training_on_several_nodes_want_a_folder(s3: str, tmp_path: Path) -> None:
    study = tmp_path / "two-nodes.yaml"
    preset = resource("presets", f"{STUDY}.yaml").read_text()
    settings = "config: pocket, settings: {nodes: 2, micro_batch_size: 4, gradient_accumulation_steps: 2}"
    study.write_text(preset.replace("config: pocket", settings))
    for more, found in (((STUDY, "--budget", "1"), "a budget"), ((str(study),), "a training on 2 nodes")):
        done = said(s3, "run", *more)
        assert done.returncode == 2
        assert f"found {found}, and a store in a bucket" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert Bucket(s3).sizes() == {}
