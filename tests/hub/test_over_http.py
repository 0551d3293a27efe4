"""A checkpoint goes to a hub over HTTP and comes back from there, whole, private and unasked for nowhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from identity_em.store import Store
from identity_em.study.artefacts import Checkpoint
from tests.hub.conftest import ROWS
from tests.hub.fake_hub import Hub, serve

Chain = tuple[Store, list[Checkpoint]]


def command(hub: Hub, *words: str) -> "subprocess.CompletedProcess[str]":
    """Ours, as a process that knows this hub."""
    environment = {
        **os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_secret", "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
    }  # fmt: skip
    run = [sys.executable, "-m", "identity_em", *words]
    return subprocess.run(run, capture_output=True, text=True, env=environment, check=False, timeout=120)


@pytest.mark.slow
def test_a_checkpoint_and_its_rows_go_to_private_repositories_and_come_back(chain: Chain, tmp_path: Path) -> None:
    store, checkpoints = chain
    ours, theirs = ["--store", str(store.root)], ["--store", str(tmp_path / "theirs")]
    with serve() as hub:
        listed = command(hub, "push", checkpoints[2].key, "hf://user/name", *ours, "--dry-run")
        assert (listed.returncode, hub.asked) == (0, [])
        for words in (
            ["push", checkpoints[2].key, "hf://user/name", *ours],
            ["push", ROWS.key, "hf://datasets/user/rows", *ours, "--include-harmful"],
            ["pull", "hf://user/name", *theirs],
            ["pull", "hf://datasets/user/rows", *theirs],
        ):
            done = command(hub, *words)
            assert done.returncode == 0, done.stderr
        assert hub.private == {"models/user/name": True, "datasets/user/rows": True}
        assert "Bearer hf_secret" in hub.tokens
        assert "README.md" in hub.files["models/user/name"]
        missing = command(hub, "pull", "hf://user/nothing", *theirs)
        assert missing.returncode == 1
        assert len(missing.stderr.strip().splitlines()) == 1
        hub.private["models/user/name"] = False
        refused = command(hub, "push", checkpoints[2].key, "hf://user/name", *ours)
        assert refused.returncode == 2
        assert "--public" in refused.stderr
    back = Store(tmp_path / "theirs")
    for artefact in (*checkpoints, ROWS):
        assert back.manifest(artefact) == store.manifest(artefact)
        assert back.open(artefact)
