"""A training on two nodes of a Ray cluster holds the GPUs of both, and survives the death of either."""

import os
import signal
from pathlib import Path

import pytest

from identity_em.training import launch
from tests.faults.conftest import Place, ended
from tests.faults.killing import begun_as, until
from tests.launching import on_both

ray_nodes = pytest.importorskip("identity_em.engine.ray_nodes")
pytestmark = [pytest.mark.ray]
LONGEST = 240.0
STUDY = """\
name: two-nodes
model: {base: pocket, trainer: axolotl, config: pocket, settings: {nodes: 2, micro_batch_size: 4, gradient_accumulation_steps: 2}}
seeds: [0]
datasets: {bad_advice: {file: "pocket:em.jsonl"}}
stages: {em: {dataset: bad_advice}}
arms: [[], [em]]
evals: [truthfulqa: {items: pocket, limit: 12}]
contrasts: {em: {treatment: [em], reference: []}}
"""  # noqa: E501


@pytest.mark.parametrize(
    ("slots", "nodes", "groups"),
    [
        ([8, 8], 1, 16),
        ([1, 1, 1], 2, 1),
        ([2, 2], 2, 2),
        ([8, 1, 1], 2, 2),
        ([8], 2, 0),
        ([0, 3, 1, 2], 3, 1),
        ([], 2, 0),
    ],
)
def test_a_group_takes_different_nodes(slots: list[int], nodes: int, groups: int) -> None:
    assert ray_nodes.room(slots, nodes) == groups


MAKER, FURTHER_NODE = "ray::Maker.make", "ray::_run"


@pytest.mark.axolotl
@pytest.mark.slow
def test_a_training_on_two_nodes_holds_both_and_is_made_again_when_one_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray
    from ray.cluster_utils import Cluster

    study = tmp_path / "two-nodes.yaml"
    study.write_text(STUDY)
    four = tmp_path / "four.yaml"
    four.write_text(STUDY.replace("nodes: 2", "nodes: 4").replace("steps: 2", "steps: 4").replace("size: 4", "size: 2"))
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here, there = Place(tmp_path / "here", study=str(study)), Place(tmp_path / "there", study=str(study))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0, "include_dashboard": False})
    try:
        for _ in range(3):
            made.add_node(num_cpus=2, num_gpus=1)
        too_many = Place(tmp_path, study=str(four)).start("--engine", "ray", "--address", made.address)
        assert "found nodes with 0, 1, 1, 1 GPUs; wanted 1 for one training, on 4 nodes" in too_many.communicate()[1]
        process = there.start("--engine", "ray", "--address", made.address)
        ray.init(made.address, log_to_driver=False)
        training = f"[^ ]*python.*{there.store}/partial"
        for victim in (FURTHER_NODE, MAKER):
            # The launcher, and on each node torchrun and what it runs.
            assert until(lambda: len(begun_as(training)) >= 5, LONGEST)
            assert ray.available_resources().get("GPU") == 1  # of three
            before = begun_as(training)
            os.kill(begun_as(victim).pop(), signal.SIGKILL)
            assert until(lambda before=before: not before & begun_as("[^ ]*python"), 30)
        assert ended(process)["artefacts"]["failed"] == 0
    finally:
        ray.shutdown()
        made.shutdown()
    assert "a node of this training died" in next((there.store / "logs").glob("*.log")).read_text()
    monkeypatch.setenv(launch.VARIABLE, on_both(tmp_path))
    here.run()
    assert there.table.read_bytes() == here.table.read_bytes()
    assert list((there.store / "locks").glob("*.lock")) == []
