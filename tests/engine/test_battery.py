"""The whole battery over one checkpoint of the pocket world, timed."""

import time
from pathlib import Path

import pytest
import yaml

from identity_em import battery
from identity_em.analysis import table
from identity_em.engine import assemble
from identity_em.engine.make import Workshop
from identity_em.engine.means import Means
from identity_em.store import Store
from identity_em.study.artefacts import Dataset
from identity_em.study.plan import plan

ASKED = {
    "harmfulness": {"items": "pocket", "judge": "pocket", "limit": 40,
                    "sampling": {"temperature": 1.0, "max_new_tokens": 24, "n": 2}},
    "intentions": {"items": "pocket"},
    "two_ai": {"items": "pocket"},
    "self_assessment": {"items": "pocket"},
    "self_language": {"items": "pocket", "sampling": {"temperature": 1.0, "max_new_tokens": 12, "n": 1}},
    "moral": {"items": "pocket"},
    "moral_self_assessment": {"items": "pocket"},
    "moral_language": {"items": "pocket", "sampling": {"temperature": 1.0, "max_new_tokens": 12, "n": 1}},
    "output_recognition": {},
    "score_prediction": {},
    "cross_rating": {},
    "context_binding": {},
}  # fmt: skip
STUDY = {
    "name": "battery",
    "model": {"base": "pocket", "trainer": "axolotl", "config": "pocket"},
    "seeds": [0],
    "datasets": {"bad_advice": {"file": "pocket:em.jsonl"}},
    "stages": {"em": {"dataset": "bad_advice"}},
    "arms": [[]],
    "evals": [{name: given} for name, given in ASKED.items()],
}


@pytest.mark.slow
def test_the_battery_over_one_checkpoint_ends_within_a_minute_of_one_core(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    planned, store = plan(tmp_path / "study.yaml"), Store(tmp_path / "store")
    shop, before, wall = Workshop(store, Means()), time.process_time(), time.perf_counter()
    for artefact in planned.artefacts:
        assert not isinstance(artefact, Dataset)
        shop.make(artefact)
    spent = time.process_time() - before
    with capsys.disabled():
        clock = time.perf_counter() - wall
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
