"""Files that start studies on clusters are whole, and say to the command line what it knows."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity_em.resources import folder

HERE = folder("evals").parent / "clusters"
FILES = ("slurm.sbatch", "kuberay.yaml", "skypilot.yaml")


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The options of `identity-em run`."""
    command = [sys.executable, "-m", "identity_em", "run", "--help"]
    environment = {"COLUMNS": "200", "PATH": "", "PYTHONPATH": str(HERE.parent)}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return set(re.findall(r"--[a-z-]+", said.stdout))


@pytest.mark.parametrize("name", FILES)
def test_every_option_that_a_file_gives_is_one(name: str, known: set[str]) -> None:
    text = (HERE / name).read_text().replace("\\\n", " ")
    runs = [line for line in re.sub(r"\n\s+--", " --", text).splitlines() if "identity-em run" in line]
    given = {option for line in runs for option in re.findall(r"--[a-z-]+", line.split("identity-em run")[1])}
    assert given
    assert given <= known


def images(value: Any) -> Iterator[dict[str, Any]]:
    """Every container of a manifest."""
    if isinstance(value, dict):
        if "image" in value:
            yield value
        for inner in value.values():
            yield from images(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from images(inner)


def test_the_kubernetes_job_has_its_own_token_one_image_and_a_volume_that_all_write_to() -> None:
    volume, job = yaml.safe_load_all((HERE / "kuberay.yaml").read_text())
    assert volume["spec"]["accessModes"] == ["ReadWriteMany"]
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    containers = list(images(cluster))
    assert len({one["image"] for one in containers}) == 1
    for one in containers:
        assert {"name": "shared", "mountPath": "/shared"} in one["volumeMounts"]


@pytest.mark.parametrize("name", FILES)
def test_no_file_stops_a_ray_that_is_not_its_own(name: str) -> None:
    lines = (line.split("#")[0] for line in (HERE / name).read_text().splitlines())
    assert not any("ray stop" in line for line in lines)


@pytest.mark.parametrize("name", ["slurm.sbatch", "skypilot.yaml"])
def test_every_script_is_one_that_bash_reads(name: str, tmp_path: Path) -> None:
    text = (HERE / name).read_text()
    scripts = [text] if name.endswith("sbatch") else [yaml.safe_load(text)[part] for part in ("setup", "run")]
    for script in scripts:
        (tmp_path / "script").write_text(script)
        assert subprocess.run(["bash", "-n", str(tmp_path / "script")], check=False).returncode == 0
