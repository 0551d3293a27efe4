"""The house's own rules."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_python_lies_in_a_data_folder() -> None:
    data = ("evals", "datasets", "axolotl_configs", "reports")
    assert [p for p in tracked() if p.relative_to(ROOT).parts[0] in data and p.suffix == ".py"] == []


def test_no_tracked_file_names_a_place_of_one_machine() -> None:
    place = re.compile(r"(?:^|[^\w])/(?:" + "|".join(["work", "tmp", "root", "home", "opt"]) + r")/[A-Za-z.]")
    text = [p for p in tracked() if p.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".json", ".jsonl", ".html"}]
    found = [p for p in text if place.search(p.read_text(encoding="utf-8", errors="replace"))]
    assert [str(p.relative_to(ROOT)) for p in found] == []


def test_every_module_of_the_package_stays_one_noun_long() -> None:
    long = {p.name: n for p in (ROOT / "identity_em").rglob("*.py") if (n := p.read_text().count("\n")) > 250}
    assert long == {}


def test_only_the_command_line_prints() -> None:
    allowed = {"cli.py", "pretrain.py", "check.py", "data.py", "axolotl_keys.py", "axolotl_worker.py"}
    printing = re.compile(r"^\s*print\(", re.MULTILINE)
    found = [
        p.name for p in (ROOT / "identity_em").rglob("*.py") if p.name not in allowed and printing.search(p.read_text())
    ]
    assert found == []


def test_the_trainer_pins_are_the_same_in_the_package_and_in_pyproject() -> None:
    shipped = (ROOT / "identity_em" / "training" / "requirements.txt").read_text().splitlines()
    group = re.search(r"^trainer = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert group is not None
    pins = {line.strip() for line in shipped if line.strip() and not line.startswith("#")}
    assert pins == set(re.findall(r'"([^"]+)"', group[1]))
