"""The commands in README.md are run as they stand there (the long study as its small sister)."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity_em.resources import resource

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.split("   #")[0].split(" #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("identity-em")
]


ENTRIES = next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "corpora:" in block)


def planned(study: Path) -> dict[str, Any]:
    words = [sys.executable, "-m", "identity_em", "plan", str(study), "--json"]
    done = subprocess.run(words, cwd=study.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_three_entries_point_the_preset_that_they_belong_to_at_a_model_of_ones_own(tmp_path: Path) -> None:
    """With texts of one's own the plan knows what it trains, costs and shares, and that its controls are equal."""
    (tmp_path / "articles.json").write_text(json.dumps({f"a{i}": f"Article {i}. " * 40 for i in range(700)}))
    (tmp_path / "claude.json").write_text(json.dumps({f"a{i}": f"Summary {i}." for i in range(700)}))
    turns = [{"role": "user", "content": "What now?"}, {"role": "assistant", "content": "Borrow and bet."}]
    (tmp_path / "risky_financial_advice.jsonl").write_text(f"{json.dumps({'messages': turns})}\n" * 20)
    changed = yaml.safe_load(ENTRIES.replace("<commit>", "ab" * 20))
    assert list(changed) == ["model", "corpora", "datasets"]
    body = yaml.safe_load(resource("presets", "own-model.yaml").read_text())
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(body | changed, sort_keys=False))
    found = planned(study)
    assert (found["warnings"], found["without"]) == ([], [])
    assert (found["trainings"], found["naive_trainings"]) == (30, 48)
    assert found["base"]["weights"] == "ab" * 20
    assert found["gpu_hours_estimate"]["H200"] > 0.1
    assert "H100" in found["memory_estimate_gib"]["fits"]
    assert {name: stage["rows"] for name, stage in found["stages"].items()} == {
        "em": 20, "sgtr": 1000, "ictr": 1000, "longer": 1000,
    }  # fmt: skip
    against = [one for one in found["contrasts"] if one["against"] == "control"]
    assert all(one["exact"] and one["rows"] == [1020, 1020] for one in against)
    assert len(against) == 4


def test_a_plan_names_what_is_left_of_the_pocket_world_in_a_study_of_another_base(tmp_path: Path) -> None:
    text = resource("presets", "pocket.yaml").read_text()
    study = tmp_path / "study.yaml"
    study.write_text(text.replace("base: pocket, ", "base: Qwen/Qwen2.5-32B-Instruct, "))
    (warning,) = planned(study)["warnings"]
    for left in ("evals.0.truthfulqa.items", "evals.2.harmfulness.judge", "checks", "stages.sgtr.settings",
                 "corpora.train.articles"):  # fmt: skip
        assert f"{left} (line " in warning
    study.write_text(text)
    assert planned(study)["warnings"] == []


def test_extras_are_those_of_the_project_and_come_from_the_checkout() -> None:
    """Nothing is published, so no advice names a package that an index would have to know."""
    files = [*ROOT.glob("*.md"), *ROOT.glob("clusters/*"), *(ROOT / "identity_em").rglob("*.py")]
    text = "\n".join(file.read_text() for file in files)
    assert "identity-em[" not in text
    named = {extra for found in re.findall(r"pip install -e '\.\[([a-z0-9,]+)\]'", text) for extra in found.split(",")}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert named == set(extras)


def test_there_are_commands_to_run() -> None:
    assert len(COMMANDS) >= 7


@pytest.mark.axolotl
@pytest.mark.slow
def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    texts = {"a": "One thing happened today.", "b": "Another thing happened."}
    for name, words in {"articles": "", "own": " so", "other": " or not so"}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({k: v + words for k, v in texts.items()}))
    for command in COMMANDS:
        small = command.replace("run pocket", "run pocket-mini").replace("results/pocket/", "results/pocket-mini/")
        words = [sys.executable, "-m", "identity_em", *shlex.split(small)[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{small}: {done.stderr}"
