"""The whole battery over one checkpoint of the pocket world, timed."""

from pathlib import Path

import pytest

from bench import battery as bench
from identity_em import battery
from identity_em.analysis import table
from identity_em.engine import assemble
from identity_em.store import Store

ASKED = bench.reduced()


@pytest.mark.slow
def test_the_battery_over_one_checkpoint_ends_within_a_minute_of_one_core(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned, store = bench.planned(ASKED, tmp_path), Store(tmp_path / "store")
    spent, clock = bench.make(planned, store)
    with capsys.disabled():
        print(f"\nthe battery over one checkpoint: {spent:.1f} s of one core, {clock:.1f} s by the clock")
    assert spent < 60
    assert assemble.write(planned, store, tmp_path / "table.parquet") == 0
    frame, meta = table.read(tmp_path / "table.parquet")
    # Output recognition needs a foil by another checkpoint, and the base is the foil's own author.
    assert set(frame["eval"]) == set(ASKED) - {"output_recognition"}
    assert {(row.eval, row.metric) for row in frame.itertuples()} <= {
        (name, metric) for name in battery.names() for metric in battery.get(name).metrics
    }
    assert set(meta.evals) == set(ASKED) - {"output_recognition"}
