"""From a number back to its rows: recomputing them gives the number."""

import json
import random
from pathlib import Path

import pytest
import synthetic

from identity_em.analysis import explain, table
from identity_em.analysis.readings import Readings
from identity_em.errors import DataError


def test_ten_random_cells_lead_to_rows_that_give_their_numbers() -> None:
    frame, meta = table.tidy(synthetic.frame(items=6)), synthetic.meta()
    readings = Readings(frame, meta)
    cells = [(arm, s) for s in readings.strata for arm in readings.arms if readings.keys(arm, s)]
    names = [explain.name(arm, s) for arm, s in cells]
    assert len(set(names)) == len(names)
    for arm, stratum in random.Random(0).sample(cells, 10):
        found = explain.explain(frame, meta, explain.name(arm, stratum))
        assert found.rows
        assert found.recomputed == pytest.approx(readings.estimate(arm, stratum).mean, abs=1e-12)
        assert set(found.checkpoints) == ({"0", "1", "2"} if arm else {"base"})
        assert set(found.stages) == set(arm)


def test_the_store_s_folders_behind_a_cell_are_named(tmp_path: Path) -> None:
    frame, meta = table.tidy(synthetic.frame(arms=((), ("em",)), items=2)), synthetic.meta(arms=((), ("em",)))
    key = frame.loc[frame["seed"] == 1, "checkpoint"].iloc[0]
    records = {f"checkpoint/{key[:2]}/{key}": {"dataset": "ab12"}, "responses/cd/cd34": {"checkpoint": key}}
    for folder, record in records.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "manifest.json").write_text(json.dumps({"record": record}))
    stratum = explain.Stratum(eval="harmfulness", version="1", metric="harm", prompt="default")
    places = dict(explain.explain(frame, meta, explain.name(("em",), stratum), store=tmp_path).places)
    assert places["dataset of its last stage (seed 1)"] == str(tmp_path / "dataset/ab/ab12")
    assert places["prompts and answers (answers.jsonl)"] == str(tmp_path / "responses/cd/cd34")


def test_a_name_that_is_no_cell_is_refused() -> None:
    with pytest.raises(DataError, match="no cell"):
        explain.explain(table.tidy(synthetic.frame(arms=((),), items=2)), synthetic.meta(), "00000000")
