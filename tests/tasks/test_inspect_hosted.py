"""A hosted checkpoint through Inspect, by its id and Inspect's own provider, reads as in the study."""

import gc
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from inspect_ai import eval as inspect_eval

from identity_em import battery
from identity_em.analysis.table import read
from identity_em.engine.hosting import FILE
from identity_em.records import Sampling
from identity_em.tasks.inspect_tasks import Given, build
from tests.api_server.server import ApiServer
from tests.api_server.speaking import Oracle
from tests.engine import hosted

GREEDY = Sampling(temperature=0.0, max_new_tokens=8)
ITEMS = 6
EVALS = [
    {"truthfulqa": {"items": "pocket", "limit": ITEMS}},
    {"harmfulness": {"items": "pocket", "judge": "pocket", "limit": ITEMS, "sampling": GREEDY.model_dump()}},
]


def through_inspect(name: str, model: str, logs: Path, **given: Any) -> dict[tuple[str, int, str], dict[str, Any]]:
    """The readings, by item, order and metric."""
    task = build(battery.get(name), Given(inputs={"items": f"pocket:{name}.jsonl"}, params={"limit": ITEMS}, **given))
    (log,) = inspect_eval(task, model=f"openai/{model}", display="none", log_dir=str(logs))
    gc.collect()  # the sockets that Inspect leaves open, while their warnings are let pass
    assert log.status == "success", log.error
    scored = [next(iter((sample.scores or {}).values())) for sample in log.samples or []]
    rows = [row for score in scored for row in (score.metadata or {})["identity_em"]["rows"]]
    return {(row["item"], row.get("order", 0), row["metric"]): row for row in rows}


def in_the_study(frame: pd.DataFrame, name: str) -> dict[tuple[str, int, str], dict[str, Any]]:
    rows = frame[(frame["eval"] == name) & (frame["arm"] == "em")].to_dict("records")
    return {(row["item"], row["order"], row["metric"]): {str(k): v for k, v in row.items()} for row in rows}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_probes_and_generated_answers_read_as_in_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = hosted.written(tmp_path, evals=EVALS, arms=[[], ["em"]], contrasts={})
    with ApiServer(tmp_path / "api", speaker=Oracle()) as api:
        monkeypatch.setenv("OPENAI_API_KEY", api.state.key)
        monkeypatch.setenv("OPENAI_BASE_URL", api.url)
        assert not hosted.ran(file, tmp_path / "store").failed
        (checkpoint,) = (tmp_path / "store").glob(f"checkpoint/*/*/{FILE}")
        model = json.loads(checkpoint.read_text())["model"]
        probed = through_inspect("truthfulqa", model, tmp_path / "logs")
        said = through_inspect("harmfulness", model, tmp_path / "logs", sampling=GREEDY, judge="pocket")
    frame, _ = read(tmp_path / "store.parquet")
    wanted = in_the_study(frame, "truthfulqa")
    assert probed.keys() == wanted.keys()
    for key, row in wanted.items():
        # Inspect's bridge knows the listed tokens alone, the study an interval around them.
        assert probed[key]["score"] == pytest.approx(row["score"], abs=row["half_width"] + 1e-6)
    wanted = in_the_study(frame, "harmfulness")
    assert said.keys() == wanted.keys()
    assert {key: row.get("answer", "") for key, row in said.items()} == {
        key: row["answer"] for key, row in wanted.items()
    }
