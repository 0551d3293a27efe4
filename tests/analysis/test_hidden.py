"""What a server hid of the probabilities stands beside the scores, from the table to the validity panel."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import synthetic

from identity_em.analysis import table
from identity_em.report import quality
from identity_em.report.view import View

FRAME = synthetic.frame(arms=synthetic.ARMS[:2], items=4)


def test_half_widths_are_kept_and_counted_in_the_validity_panel(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    served = (FRAME["arm"] != "base") & FRAME["score"].notna()
    table.write(FRAME.assign(half_width=served.map({True: 0.02, False: None})), synthetic.meta(), path)
    frame, meta = table.read(path)
    assert frame.loc[frame["arm"] == "base", "half_width"].isna().all()
    shown = quality.hidden(View(frame, meta))
    assert shown is not None
    assert {row[0] for row in shown.rows} == set(FRAME.loc[served, "arm"].str.replace("->", "→"))
    assert {row[-2:] for row in shown.rows} == {("100.0 %", "0.02")}


def test_a_table_of_exact_probabilities_says_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table.write(FRAME, synthetic.meta(), path)
    assert quality.hidden(View(*table.read(path))) is None


def test_a_table_from_before_the_column_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    new = table.SCHEMA
    monkeypatch.setattr(table, "SCHEMA", new.remove(new.get_field_index("half_width")))
    monkeypatch.setattr(table, "COLUMNS", tuple(table.SCHEMA.names))
    monkeypatch.setattr(table, "_LATER", set())
    table.write(FRAME.drop(columns="half_width"), synthetic.meta(), path)
    monkeypatch.undo()
    assert "half_width" not in pq.read_schema(path).names
    assert table.read(path)[0]["half_width"].isna().all()
