"""On a real Ray cluster of three nodes with made-up GPUs nothing is lost and nothing repeated, whatever is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.faults.conftest import STUDY, Place, ended
from tests.faults.killing import begun_as, until

pytestmark = [pytest.mark.ray, pytest.mark.axolotl, pytest.mark.slow]
cluster_utils = pytest.importorskip("ray.cluster_utils")
LONGEST = 240.0
MAKERS = "ray::(Maker.make|dataset|scores)"


@contextmanager
def cluster() -> Iterator[Any]:
    """A head that runs nothing, and two nodes with a made-up GPU each."""
    made = cluster_utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0, "include_dashboard": False}
    )
    try:
        for _ in range(2):
            made.add_node(num_cpus=2, num_gpus=1)
        yield made
    finally:
        made.shutdown()


def start(place: Place, made: Any, monkeypatch: pytest.MonkeyPatch) -> "subprocess.Popen[str]":
    # A head that is gone is given up after seconds instead of a minute.
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")
    return place.start("--engine", "ray", "--address", made.address)


def test_a_run_is_cancelled_then_a_worker_and_a_node_are_killed_and_it_ends_as_if_they_were_not(
    undisturbed: Place, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cluster() as made:
        process = start(place, made, monkeypatch)
        assert until(lambda: len(place.made()) >= 2, LONGEST)
        asked = [sys.executable, "-m", "identity_em", "cancel", STUDY, "--store", str(place.store)]
        assert "asked 1 run" in subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        process.communicate(timeout=LONGEST)
        assert process.returncode == 130
        process = start(place, made, monkeypatch)
        assert until(lambda: len(place.made()) >= 5 and bool(begun_as(MAKERS)), LONGEST)
        before = place.made()
        os.kill(begun_as(MAKERS).pop(), signal.SIGKILL)
        assert until(lambda: len(place.made()) >= 12, LONGEST)
        made.remove_node(made.worker_nodes.copy().pop(), allow_graceful=False)
        ended(process)
        assert {key: place.made()[key] for key in before} == before
    assert place.table.read_bytes() == undisturbed.table.read_bytes()
    assert list((place.store / "locks").glob("*.lock")) == []


def test_the_driver_and_the_head_are_killed_and_the_same_command_goes_on(
    undisturbed: Place, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cluster() as made:
        process = start(place, made, monkeypatch)
        assert until(lambda: len(place.made()) >= 4, LONGEST)
        process.kill()
        process.communicate()
        before = place.made()
        process = start(place, made, monkeypatch)
        assert until(lambda: len(place.made()) >= 14, LONGEST)
        made.remove_node(made.head_node, allow_graceful=False)
        process.communicate(timeout=LONGEST)
        assert process.returncode == 1
        assert {key: place.made()[key] for key in before} == before
        before = place.made()
    with cluster() as made:
        ended(start(place, made, monkeypatch))
    assert {key: place.made()[key] for key in before} == before
    assert place.table.read_bytes() == undisturbed.table.read_bytes()
