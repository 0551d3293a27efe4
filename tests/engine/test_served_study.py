"""A study on a real vLLM server: the same numbers as the resident model's, also where the server goes down midway."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from identity_em.analysis.table import read

pytestmark = [pytest.mark.long, pytest.mark.axolotl, pytest.mark.vllm, pytest.mark.slow]
KEYS = ["arm", "seed", "eval", "metric", "dimension", "item", "order", "sample", "author", "comparator"]


def identity_em(root: Path, *words: str, out: IO[str] | int = subprocess.PIPE) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "identity_em", *words, "--store", "store"],
        cwd=root, stdout=out, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def run(root: Path, out: str, *more: str) -> "subprocess.Popen[str]":
    return identity_em(root, "run", "pocket-mini", "--out", out, "--workers", "1", "--quiet", *more)


@contextmanager
def serving(root: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    # A pipe that nobody reads would fill with the server's log, and stop it.
    log = root / "serve.log"
    with log.open("w") as out:
        process = identity_em(root, "serve", "pocket-mini", "--port", str(port), out=out)
    try:
        until = time.monotonic() + 900
        while True:
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until, "vLLM did not come up in fifteen minutes"
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(1)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the study trained and answered by the resident model."""
    root = tmp_path_factory.mktemp("served")
    process = run(root, "resident")
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return root


def test_a_server_killed_midway_costs_nothing_twice_and_the_numbers_are_the_resident_models(root: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with serving(root, port) as server:
        first = run(root, "served", "--served", url)
        while first.poll() is None and _kept(root) < 20:
            time.sleep(0.05)
        os.killpg(server.pid, signal.SIGKILL)
        said, _ = first.communicate(timeout=300)
    assert first.returncode == 1
    assert "answers are kept, run again for the rest" in said
    assert _kept(root) >= 20
    with serving(root, port):
        second = run(root, "served", "--served", url)
        said, _ = second.communicate(timeout=600)
        assert second.returncode == 0, said
    assert _kept(root) == 0
    ours, theirs = (read(root / name / "table.parquet")[0] for name in ("resident", "served"))
    both = ours.merge(theirs, on=KEYS, suffixes=("", "_served"))
    assert len(both) == len(ours) == len(theirs)
    assert (both["score"] - both["score_served"]).abs().max() < 1e-3
    assert theirs["half_width"].isna().all()


def _kept(root: Path) -> int:
    """Answers in journals."""
    return sum(path.read_text().count("\n") for path in (root / "store" / "partial").glob("*.jsonl"))
