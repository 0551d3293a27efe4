"""What the demo does not show: merged chains, no system block, matching prompts, an eval prompt axis."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from identity_em.analysis.table import read
from identity_em.resources import resource

pytestmark = [pytest.mark.axolotl, pytest.mark.slow]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    em, sgtr = body["stages"]["em"], body["stages"]["sgtr"]
    sgtr["dataset"]["rows"] = 16
    body |= {
        "model": {**body["model"], "chain": "merge"},
        "stages": {"em": {**em, "system_prompt": "none"}, "sgtr": {**sgtr, "system_prompt": "matching"}},
        "arms": [["em", "sgtr"]],
        "evals": [{"truthfulqa": {"items": "pocket:truthfulqa.jsonl", "limit": 4}}],
        "eval_system_prompts": ["default", "empty", "none"],
        "contrasts": {},
    }
    root = tmp_path_factory.mktemp("merge")
    (root / "study.yaml").write_text(yaml.safe_dump(body))
    command = [sys.executable, "-m", "identity_em", "run", "study.yaml", "--store", "store", "--out", "out", "--quiet"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root


def test_a_merged_chain_is_evaluated_on_the_base_it_was_folded_into(finished: Path) -> None:
    frame, meta = read(finished / "out" / "table.parquet")
    assert meta.chain == "merge"
    assert set(frame["arm"]) == {"em -> sgtr"}
    manifests = [json.loads(p.read_text()) for p in finished.glob("store/checkpoint/*/*/manifest.json")]
    assert all(m["facts"]["gate"]["difference"] <= m["facts"]["gate"]["tolerance"] for m in manifests)
    assert sorted(len(m["facts"]["survived"]) for m in manifests) == [0, 1]


def test_every_eval_system_prompt_is_asked_of_every_item(finished: Path) -> None:
    frame, _ = read(finished / "out" / "table.parquet")
    assert frame.groupby("eval_system_prompt").size().to_dict() == {"default": 8, "empty": 8, "none": 8}


def test_no_block_at_all_is_trained_as_none_and_matching_takes_it_over(finished: Path) -> None:
    settings = [
        json.loads(p.read_text())["record"]["settings"] for p in finished.glob("store/checkpoint/*/*/manifest.json")
    ]
    assert [s["system_block"] for s in settings] == [False, False]
