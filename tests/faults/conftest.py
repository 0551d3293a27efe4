"""One undisturbed run of the smallest study, to compare every disturbed one with."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

STUDY = "pocket-mini"


@dataclass(frozen=True)
class Place:
    """A store and an out folder."""

    root: Path
    study: str = STUDY

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def table(self) -> Path:
        return self.root / "out" / "table.parquet"

    @property
    def temporary(self) -> Path:
        """Where the run's temporary files are."""
        return self.root / "tmp"

    def start(self, *more: str) -> "subprocess.Popen[str]":
        """The study's run as a process of its own."""
        command = [
            sys.executable, "-m", "identity_em", "run", self.study, "--store", str(self.store), "--out",
            str(self.table.parent), "--workers", "2", "--json", *more,
        ]  # fmt: skip
        self.temporary.mkdir(exist_ok=True)
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.root, env=environment
        )

    def run(self) -> Mapping[str, Any]:
        """The study's run to its end; its summary."""
        return ended(self.start())

    def made(self) -> dict[str, tuple[int, int]]:
        """Every finished artefact's manifest by inode and time: what was made again shows."""
        found = {}
        for path in self.store.glob("*/*/*/manifest.json"):
            stat = path.stat()
            found[path.parent.name] = (stat.st_ino, stat.st_mtime_ns)
        return found


def ended(process: "subprocess.Popen[str]") -> Mapping[str, Any]:
    """The summary of a run that must end well."""
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    summary: Mapping[str, Any] = json.loads(out)
    return summary


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A finished run."""
    place = Place(tmp_path_factory.mktemp("undisturbed"))
    summary = place.run()
    assert summary["artefacts"]["made"] == 32
    return place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty place."""
    return Place(tmp_path)


def kills() -> int:
    """How many kills a test makes; more of them by hand with IDENTITY_EM_KILLS."""
    return int(os.environ.get("IDENTITY_EM_KILLS", "3"))
