"""What the report says of the published results, in under a minute and two gigabytes."""

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

_CHILD = """
import json, resource, sys, time
from pathlib import Path
from identity_em import report
from identity_em.analysis import published
start = time.perf_counter()
published.sgtr_em(Path(sys.argv[1]), Path(sys.argv[2]) / "t.parquet")
report.build(Path(sys.argv[2]) / "t.parquet", Path(sys.argv[2]))
print(json.dumps([time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]))
"""


@pytest.fixture(scope="module")
def folder(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    command = [sys.executable, "-c", _CHILD, str(reference / "published" / "sgtr-em"), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (out / "cost.json").write_text(done.stdout.splitlines()[-1])
    return out


@pytest.fixture(scope="module")
def summary(folder: Path) -> dict[str, str]:
    text = (folder / "report.html").read_text(encoding="utf-8")
    points = re.findall(r"<li><strong>(.*?)\.</strong> (.*?)</li>", text)
    return {html.unescape(lead): html.unescape(said) for lead, said in points}


def test_import_and_report_take_less_than_a_minute_and_two_gigabytes(folder: Path) -> None:
    seconds, gigabytes = json.loads((folder / "cost.json").read_text())
    assert seconds < 60
    assert gigabytes < 2


def test_unpopular_aesthetics_lower_accuracy(summary: dict[str, str]) -> None:
    assert summary["em_unpop against base"].startswith("accuracy lower by 0.08 [")


def test_bad_medical_advice_shows_no_detectable_effect_and_what_is_excluded(summary: dict[str, str]) -> None:
    said = summary["em_badmed against base"]
    assert re.search(r"\(no detectable effect; the 5 seeds exclude any larger than 0\.0\d\d\)", said)
    assert "not interpreted" in summary["reversal of em_badmed: sgtr"]


@pytest.mark.parametrize(("name", "mean"), [("sgtr", "+0.022"), ("sgtr, qwensys", "+0.050")])
def test_reversal_is_an_excess_over_the_longer_control(summary: dict[str, str], name: str, mean: str) -> None:
    said = summary[f"reversal of em_unpop: {name}"]
    assert "beyond the control em_unpop → longer" in said
    assert re.search(rf"{re.escape(mean)} \[.*\]", said)


def test_self_recognition_starts_far_from_one_and_comparators_disagree(summary: dict[str, str]) -> None:
    said = summary["Self-recognition of the base"]
    assert said.startswith("0.558 [")
    assert "0.120" in said
    assert "the comparators disagree" in said
    assert "none is near 1" in said


def test_the_base_says_that_it_is_one_run(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert re.search(r"\| base \| 0\.85 \| \\\[0\.83, 0\.87\\\] \| 790 items, one run \|", text.replace("\u00a0", " "))
    assert "carries the uncertainty of its items only" in text
