"""From a number back to its rows: recomputing them gives the number."""

import random

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


def test_a_name_that_is_no_cell_is_refused() -> None:
    with pytest.raises(DataError, match="no cell"):
        explain.explain(table.tidy(synthetic.frame(arms=((),), items=2)), synthetic.meta(), "00000000")
