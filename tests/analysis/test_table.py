"""The table is whole or absent, equal content gives equal bytes, and a damaged one is refused in one line."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic

from identity_em.analysis import table
from identity_em.errors import DamagedArtefact, DataError


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "t.parquet"
    table.write(synthetic.frame(arms=synthetic.ARMS[:3], items=4), synthetic.meta(), path)
    return path


def test_what_was_written_is_read(written: Path) -> None:
    frame, meta = table.read(written)
    assert tuple(frame.columns) == table.COLUMNS
    assert meta == synthetic.meta()
    assert frame["score"].notna().eq(frame["unscored"].isna()).all()
    assert frame.loc[frame["arm"] == "base", "seed"].isna().all()
    assert str(frame["seed"].dtype) == "Int64"


def test_rows_and_columns_in_any_order_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    frame = synthetic.frame(arms=synthetic.ARMS[:3], items=4)
    shuffled = frame.sample(frac=1, random_state=7).loc[:, list(reversed(frame.columns))]
    again = tmp_path / "again.parquet"
    table.write(shuffled, synthetic.meta(), again)
    assert again.read_bytes() == written.read_bytes()


def test_another_score_or_another_study_gives_another_hash(tmp_path: Path) -> None:
    frame = synthetic.frame(arms=synthetic.ARMS[:2], items=2)
    first = table.write(frame, synthetic.meta(), tmp_path / "a.parquet")
    other = frame.assign(answer="B")
    assert table.write(other, synthetic.meta(), tmp_path / "b.parquet") != first
    assert table.write(frame, synthetic.meta(study="another"), tmp_path / "c.parquet") != first


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "empty.parquet"
    table.write(pd.DataFrame(columns=list(table.COLUMNS)), synthetic.small(), path)
    assert table.read(path)[0].empty


def test_a_truncated_file_is_refused_in_one_line(written: Path) -> None:
    written.write_bytes(written.read_bytes()[:-40])
    with pytest.raises(DamagedArtefact) as error:
        table.read(written)
    assert "\n" not in str(error.value)
    assert "found" in str(error.value)
    assert "wanted" in str(error.value)


def test_no_flipped_byte_goes_unnoticed_where_it_changes_the_content(written: Path) -> None:
    frame, meta = table.read(written)
    whole = written.read_bytes()
    refused = 0
    for place in range(0, len(whole), 97):
        written.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            found, described = table.read(written)
        except DamagedArtefact:
            refused += 1
        else:
            assert found.equals(frame)
            assert described == meta
    assert refused > 0


def test_a_foreign_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(DamagedArtefact, match="without identity_em's description"):
        table.read(path)


def test_rows_altered_under_the_same_description_are_refused(written: Path) -> None:
    content = pq.read_table(written)
    pq.write_table(content.slice(1), written)
    with pytest.raises(DamagedArtefact, match="content"):
        table.read(written)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        table.read(tmp_path / "none.parquet")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"score": 1.5}, "score 1.5"),
        ({"unscored": "why"}, "both or neither"),
        ({"score": None}, "both or neither"),
        ({"order": "first"}, "another type"),
        ({"item": None}, "null in item"),
    ],
)
def test_an_untidy_frame_is_refused_and_nothing_is_written(
    tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    frame = pd.DataFrame(synthetic.answers((), None, [0.5], **changes))
    with pytest.raises(DataError, match=says):
        table.write(frame, synthetic.small(), tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    frame = pd.DataFrame(synthetic.answers((), None, [0.5])).drop(columns="judge")
    with pytest.raises(DataError, match="judge"):
        table.write(frame, synthetic.small(), tmp_path / "t.parquet")
