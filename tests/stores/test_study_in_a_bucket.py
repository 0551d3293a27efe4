"""A whole study in a bucket over HTTP ends in the table of a run in a folder, also where a machine is lost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from identity_em.buckets import Bucket
from tests.faults.conftest import STUDY, Place, ended, undisturbed
from tests.faults.killing import until

__all__ = ["undisturbed"]  # a fixture


def start(url: str, machine: Path, *, workers: int = 1) -> "subprocess.Popen[str]":
    """The study's run in the bucket, on what might be a machine of its own: it has its own scratch."""
    machine.mkdir(exist_ok=True)
    command = [
        sys.executable, "-m", "identity_em", "run", STUDY, "--store", url, "--out", "out", "--workers", str(workers),
        "--json",
    ]  # fmt: skip
    environment = {**os.environ, "IDENTITY_EM_SCRATCH": str(machine / "scratch")}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=machine, env=environment
    )


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
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    one, two = start(s3, first), start(s3, second)
    assert until(lambda: len(manifests(s3)) > 8, 240)
    two.kill()
    two.communicate()
    kept = manifests(s3)
    seen: dict[str, Any] = json.loads(said(s3, "status", STUDY, "--json").stdout)
    assert seen["there"] >= len(kept)
    assert len(seen["runs"]) == 1
    two = start(s3, second)
    sums = [ended(process)["artefacts"] for process in (one, two)]
    assert all(one["made"] + one["reused"] == 32 for one in sums)
    assert {name: manifests(s3)[name] for name in kept} == kept
    assert len(manifests(s3)) == 32
    for machine in (first, second):
        assert (machine / "out" / "table.parquet").read_bytes() == undisturbed.table.read_bytes()
    assert Bucket(s3).names("locks") == Bucket(s3).names("runs") == []

    third, begun = tmp_path / "third", time.monotonic()
    assert ended(start(s3, third))["artefacts"] == {"made": 0, "reused": 32, "failed": 0, "blocked": 0}
    assert time.monotonic() - begun < 60
    assert (third / "out" / "table.parquet").read_bytes() == undisturbed.table.read_bytes()

    swept = said(s3, "gc")
    assert "nothing was removed" in swept.stdout
    assert said(s3, "cancel", STUDY).returncode == 2
    assert said(s3, "status", STUDY, "--verify").returncode == 0
