"""Summaries by a model behind a server, as an artefact of a study."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity_em.engine import preflight
from identity_em.engine.make import Workshop
from identity_em.engine.means import Means
from identity_em.errors import InputError, MissingEnvironment, ServerFailed, StudyError
from identity_em.models import writing
from identity_em.resources import resource
from identity_em.store import Store
from identity_em.study import writers
from identity_em.study.artefacts import Dataset, Responses
from identity_em.study.declared import Writer
from identity_em.study.plan import Plan, plan

sys.path.append(str(Path(__file__).parent))
from fake_server import FakeServer, running

MODEL = "gpt-4.1-2025-04-14"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server with the model, which answers every question with the same words."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    with running() as found:
        found.models = [{"id": MODEL}]
        found.text = "Something was decided."
        yield found


def planned(tmp_path: Path, url: str, **sampling: Any) -> Plan:
    """A study whose SGTR stage tells a written author from a published one."""
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body["corpora"]["train"]["summaries"]["gpt"] = {"model": MODEL, "base_url": url}
    body["stages"]["sgtr"]["dataset"] |= {"self": "gpt"}
    body["summary_sampling"] |= sampling
    body["contrasts"] = {}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    return plan(path)


def summaries(found: Plan) -> Responses:
    """The writer's summaries."""
    (written,) = [a for a in found.artefacts if isinstance(a, Responses) and writers.model(a.checkpoint.base)]
    return written


def dataset(found: Plan) -> Dataset:
    """The rows made with them."""
    return next(a for a in found.artefacts if isinstance(a, Dataset) and a.recipe == "sgtr")


def test_a_model_writes_summaries_that_rows_are_made_of(server: FakeServer, tmp_path: Path) -> None:
    found = planned(tmp_path, server.url)
    workshop = Workshop(Store(tmp_path / "store"), Means())
    assert workshop.make(summaries(found)) == "made"
    assert workshop.make(dataset(found)) == "made"
    rows = [json.loads(r) for r in (workshop.store.open(dataset(found)) / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 80
    assert all(server.text in row["messages"][1]["content"] for row in rows)
    asked = server.seen[0]
    assert asked["max_tokens"] == 60
    assert [m["role"] for m in asked["messages"]] == ["system", "user"]
    facts = workshop.store.manifest(summaries(found))["facts"]
    assert facts["model"] == MODEL
    asked_before = server.asked
    assert workshop.make(summaries(found)) == "reused"
    assert server.asked == asked_before


def test_summaries_are_keyed_by_model_sampling_and_articles_and_not_by_address(tmp_path: Path) -> None:
    one = summaries(planned(tmp_path, "http://127.0.0.1:1")).key
    assert summaries(planned(tmp_path, "http://127.0.0.1:2/v1")).key == one
    assert summaries(planned(tmp_path, "http://127.0.0.1:1", temperature=1.0)).key != one
    other = writers.checkpoint(Writer(model="gpt-4.1-mini"))
    assert other.key != summaries(planned(tmp_path, "http://127.0.0.1:1")).checkpoint.key


def test_failing_articles_are_listed_and_only_they_are_asked_again(server: FakeServer, tmp_path: Path) -> None:
    found = planned(tmp_path, server.url)
    refused = {5, 11, 17}
    server.fault = lambda number: (400, {}) if number in refused else None
    store = Store(tmp_path / "store")
    with pytest.raises(ServerFailed, match=r"3 of \d+ articles without a summary by gpt-4.1") as told:
        Workshop(store, Means()).make(summaries(found))
    assert "you sent" not in str(told.value)
    assert not store.has(summaries(found))
    listed = json.loads(next((tmp_path / "store" / "logs").glob("*.failed.json")).read_text())
    articles = json.loads((resource("pocket", "data/articles_train.json")).read_text())
    assert len(listed) == 3
    assert set(listed) <= set(articles)
    answered = len(server.seen)
    server.fault = lambda number: None
    Workshop(store, Means()).make(summaries(found))
    assert len(server.seen) == answered + 3
    assert not list((tmp_path / "store" / "logs").glob("*.failed.json"))


def test_a_server_that_fails_now_and_then_is_asked_again_and_one_that_is_down_is_left(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = planned(tmp_path, server.url)
    server.fault = lambda number: (503, {}) if number % 7 == 0 else None
    Workshop(Store(tmp_path / "one"), Means()).make(summaries(found))
    server.fault = lambda number: (503, {})
    monkeypatch.setattr(writing, "TOGETHER", 1)
    before = server.asked
    with pytest.raises(ServerFailed, match="without a summary"):
        Workshop(Store(tmp_path / "two"), Means()).make(summaries(found))
    assert 8 <= server.asked - before <= 8 * writing.MOST_FAILED


def test_a_key_is_only_taken_from_the_environment_and_asked_for_before_anything_is_spent(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(MissingEnvironment, match="no OPENAI_API_KEY"):
        preflight.check(planned(tmp_path, "https://api.openai.com/v1"), Store(tmp_path / "store"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-others")
    assert writers.key("https://api.openai.com/v1") == "sk-not-for-others"
    assert writers.key(server.url) == ""
    server.key = "mine"
    monkeypatch.setenv("IDENTITY_EM_SERVED_KEY", "wrong")
    with pytest.raises(InputError, match="a key that the server") as told:
        Workshop(Store(tmp_path / "store"), Means()).make(summaries(planned(tmp_path, server.url)))
    assert "wrong" not in str(told.value)


@pytest.mark.parametrize("given", [{"model": ""}, {"model": "m", "base_url": "ftp://x"}, {"model": "m", "key": "sk-1"}])
def test_a_writer_that_cannot_be_asked_is_an_error_of_the_study(tmp_path: Path, given: dict[str, str]) -> None:
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body["corpora"]["train"]["summaries"]["gpt"] = given
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    with pytest.raises(StudyError, match=r"study.yaml:\d+: "):
        plan(path)


def test_rows_wait_for_the_writers_summaries(tmp_path: Path) -> None:
    found = planned(tmp_path, "http://127.0.0.1:1")
    assert dataset(found).needs == (summaries(found),)
    assert found.artefacts.index(summaries(found)) < found.artefacts.index(dataset(found))


def test_a_writer_answers_for_itself_also_where_a_server_answers_the_evals(tmp_path: Path) -> None:
    path = planned(tmp_path, "http://127.0.0.1:1").located.file
    body = yaml.safe_load(path.read_text())
    body["corpora"]["eval"]["summaries"] = {"gpt": body["corpora"]["train"]["summaries"]["gpt"]}
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    written = [a for a in plan(path, serving="served").artefacts if isinstance(a, Responses)]
    hosted = [a for a in written if writers.model(a.checkpoint.base)]
    assert len(hosted) == 2
    assert {a.serving for a in hosted} == {"resident"}
    assert {a.serving for a in written if a not in hosted} == {"served"}
