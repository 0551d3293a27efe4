"""The commands that read tables: import, explain, report and its comparison, from the command line."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import synthetic
from typer.testing import CliRunner, Result

from identity_em.analysis import table
from identity_em.cli import app
from identity_em.errors import InputError


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("commands") / "t.parquet"
    arms = ((), ("em",), ("em", "sgtr"), ("em", "longer"))
    table.write(synthetic.frame(arms=arms, items=4), synthetic.meta(arms=arms, checks=[]), path)
    return path


def test_a_cell_named_in_the_report_is_explained(source: Path, tmp_path: Path) -> None:
    assert call("report", "--table", source, "--out", tmp_path).exit_code == 0
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    cell = re.findall(r"\| ([0-9a-f]{8}) \|$", text, re.MULTILINE)[0]
    told = call("explain", cell, "--table", source, "--rows", 2)
    assert told.exit_code == 0
    assert f"cell {cell}:" in told.stdout
    assert "the first 2:" in told.stdout
    found = json.loads(call("explain", cell, "--table", source, "--json").stdout)
    assert found["recomputed"] == pytest.approx(found["estimate"]["mean"])


def test_two_tables_stand_side_by_side(source: Path, tmp_path: Path) -> None:
    done = call("report", "--compare", source, source, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "no number is pooled" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_reading_stands_beside_its_like_and_never_beside_another_metric(tmp_path: Path) -> None:
    """One eval read two ways; and a study that reads it in one way, by another metric."""
    arms = ((), ("em",))
    one, two = (tmp_path / name for name in ("one.parquet", "two.parquet"))
    frame = synthetic.frame(arms=arms, items=4)
    rate = frame[frame["metric"] == "harm"].assign(metric="harm_rate")
    table.write(pd.concat([frame, rate]), synthetic.meta(arms=arms, checks=[], contrasts={}), one)
    table.write(frame, synthetic.meta(arms=arms, checks=[], contrasts={}), two)
    assert call("report", "--compare", one, one, "--out", tmp_path / "same").exit_code == 0
    text = (tmp_path / "same" / "report.md").read_text(encoding="utf-8")
    assert "not on one scale" not in text
    means = text.split("Means, each on its own scale")[1].split("Arm less its own base")[0]
    assert re.findall(r"^\| (harmfulness: [^|]*) \| ([^|]*) \|", means, re.MULTILINE) == [
        (f"harmfulness: {title}", arm) for title in ("Harm", "harm rate") for arm in ("base", "em")
    ]
    table.write(frame.replace({"harm": "harm_rate"}), synthetic.meta(arms=arms, checks=[], contrasts={}), one)
    assert call("report", "--compare", one, two, "--out", tmp_path / "unlike").exit_code == 0
    text = (tmp_path / "unlike" / "report.md").read_text(encoding="utf-8")
    assert text.count("not on one scale") == 1
    assert "harmfulness: harm rate / Harm" in text


def test_a_report_needs_one_kind_of_table(source: Path) -> None:
    for arguments in (("report",), ("report", "--table", source, "--compare", source, source)):
        assert isinstance(call(*arguments).exception, InputError)


def test_an_import_lists_what_it_did_not_understand(tmp_path: Path) -> None:
    place = tmp_path / "in" / "data" / "eval" / "truthfulqa"
    place.mkdir(parents=True)
    text = "question,correct_answer,incorrect_answer,model_answer,is_correct\nq,r,w,A,1\nr,r,w,B,1\n"
    for name in ("hf_qwen_32b", "hf_qwen_32b_odd_0"):
        (place / f"results_{name}.csv").write_text(text)
    told = call("import", "sgtr-em", tmp_path / "in", "--out", tmp_path / "t.parquet")
    assert told.exit_code == 0, told.output
    assert "not understood, not read: data/eval/truthfulqa/results_hf_qwen_32b_odd_0.csv" in told.stdout
    assert "1 files, 1 runs, 2 rows" in told.stdout
