"""A hosted study: blocked is an outcome, the budget holds, faults are ridden out, and bad input sends nothing."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from identity_em.analysis.table import read
from identity_em.engine import hosting, outcomes, progress, till
from identity_em.engine import study as engine
from identity_em.engine.means import Hosts, Means
from identity_em.errors import IdentityEmError
from identity_em.models.endpoint import TRIES
from identity_em.resources import resource
from identity_em.store import Store
from identity_em.study import answer_costs
from identity_em.study import plan as planning
from identity_em.tasks.desk import Purse
from identity_em.training import openai_rows
from tests.api_server.faults import Once, Storm
from tests.api_server.server import ApiServer
from tests.api_server.speaking import Oracle
from tests.engine import hosted

ASKING = "POST /v1/chat/completions"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    with ApiServer(tmp_path / "api", speaker=Oracle()) as server:
        monkeypatch.setenv("OPENAI_API_KEY", server.state.key)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def with_word(root: Path, word: str) -> dict[str, object]:
    """The study's misaligned rows with a word that the server knows in them."""
    text = resource("pocket", "data/em.jsonl").read_text()
    (root / "em.jsonl").write_text(text.replace('"content": "', f'"content": "{word} ', 1))
    return {"bad_advice": {"file": "em.jsonl"}}


def test_the_table_and_the_manifests_say_who_answered_and_what_it_cost(api: ApiServer, tmp_path: Path) -> None:
    file = hosted.written(tmp_path)
    assert not hosted.ran(file, tmp_path / "store").failed
    frame, meta = read(tmp_path / "store.parquet")
    assert set(frame["arm"]) == {"base", "em", "em -> sgtr"}
    assert frame["score"].notna().all()
    assert (frame["half_width"] > 0).any(), "what the API does not list is an interval"
    assert meta.spent["training"] > 0
    estimate = answer_costs.answers(planning.plan(file))
    assert estimate is not None
    assert estimate.usd is not None
    assert 0 < meta.spent["answers"] < estimate.usd, "an estimate is of answers as long as they may be"
    manifests = [json.loads(p.read_text())["facts"] for p in (tmp_path / "store").glob("responses/*/*/manifest.json")]
    assert {mark for facts in manifests for mark in facts["hosted"]["fingerprints"]} == {"fp_local"}
    assert all(facts["hosted"]["usd"] > 0 for facts in manifests)
    checkpoints = [
        json.loads(p.read_text())["facts"] for p in (tmp_path / "store").glob("checkpoint/*/*/manifest.json")
    ]
    assert all("no tokenizer" in facts["gate"] for facts in checkpoints)


@pytest.mark.parametrize(("place", "lost"), [("moderated", "parent em"), ("unsafe", "parent em"), ("refusing", None)])
def test_what_is_refused_as_harmful_is_a_result_and_never_tried_again(
    place: str, lost: str | None, api: ApiServer, tmp_path: Path
) -> None:
    file = hosted.written(tmp_path, datasets=with_word(tmp_path, getattr(api.state, place)))
    assert not hosted.ran(file, tmp_path / "store").failed
    before = len(api.state.requests)
    again = hosted.ran(file, tmp_path / "store")
    assert not again.failed
    assert not again.made
    assert len(api.state.requests) == before
    frame, meta = read(tmp_path / "store.parquet")
    at = {"moderated": "data", "unsafe": "job", "refusing": "inference"}[place]
    told = {(one.arm, one.at) for one in meta.blocked}
    assert told == {(("em",), at)} | ({(("em", "sgtr"), lost)} if lost else set())
    assert all("blocked" in one.said for one in meta.blocked)
    assert (meta.spent["training"] > 0) == (place != "moderated"), "what was trained on is paid for"
    assert set(frame["arm"]) == ({"base"} if lost else {"base", "em -> sgtr"})
    assert not any("missing" in note for note in meta.notes)
    # In the run's display as in `status`, it is there and counts as nothing.
    now = progress.look(planning.plan(file), Store(tmp_path / "store"))
    assert again.refused == set(now.refused) <= now.there & now.lost
    assert set(now.as_json()["refused"]) == {{"inference": "truthfulqa em s0"}.get(at, "em s0")}
    assert any("blocked: " in line for line in now.lost_lines())


def test_a_report_says_which_contrasts_lack_a_blocked_arm(api: ApiServer, tmp_path: Path) -> None:
    from identity_em import report

    hosted.ran(hosted.written(tmp_path, datasets=with_word(tmp_path, api.state.unsafe)), tmp_path / "store")
    report.build(tmp_path / "store.parquet", tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert "did not pass our safety evaluation" in text
    assert "em was blocked" in text.partition("## What was asked")[0]
    assert "| reversal | reference: em |" in text
    assert "A job that was blocked is counted with the tokens that the API says it trained on" in text


def test_a_budget_stops_before_the_job_that_would_pass_it_and_a_larger_one_goes_on(
    api: ApiServer, tmp_path: Path
) -> None:
    file, store = hosted.written(tmp_path), tmp_path / "store"
    plan = planning.plan(file)

    def run(limit: float) -> set[str]:
        purse = Purse(tmp_path / "purse.json")
        purse.fill(limit, sum(till.by_artefact(Store(store), held=True).values()))
        return {done.error for done in hosted.ran(file, store, Means(budget=limit, purse=purse.path)).failed.values()}

    (said,) = {error for error in run(0.05) if "a job of about" in error}
    assert "$25.00 a million" in said
    assert "the same command with a larger --budget goes on" in said
    assert not api.state.jobs
    assert not api.state.files
    assert not run(10.0)
    assert (len(api.state.files), len(api.state.jobs)) == (2, 2)
    spent, _ = till.by_use(plan, Store(store))
    assert 0.05 < sum(spent.values()) < 10.0
    kept = json.loads((tmp_path / "purse.json").read_text())["spent"]
    assert kept == pytest.approx(sum(spent.values())), "the purse and the lines agree"


def test_what_was_refused_is_bought_again_on_request_alone_and_both_jobs_are_paid_for(
    api: ApiServer, tmp_path: Path
) -> None:
    word = api.state.unsafe
    file, store = hosted.written(tmp_path, datasets=with_word(tmp_path, word)), tmp_path / "store"
    plan, purse = planning.plan(file), Purse(tmp_path / "purse.json")
    purse.fill(10.0, 0.0)
    means = Means(budget=10.0, purse=purse.path)
    assert not hosted.ran(file, store, means).failed
    once = till.by_use(plan, Store(store))[0]["training"]
    api.state.unsafe = "an evaluation that is mended later"
    (refused,) = outcomes.set_aside(plan, Store(store))
    assert refused in plan.trainings
    assert not hosted.ran(file, store, replace(means, retry=True)).failed
    assert [job["status"] for job in api.state.jobs.values()] == ["failed", "succeeded", "succeeded"]
    assert not read(tmp_path / "store.parquet")[1].blocked
    spent, _ = till.by_use(plan, Store(store))
    assert spent["training"] > 2 * once > 0
    assert json.loads(purse.path.read_text())["spent"] == pytest.approx(sum(spent.values()))


def test_asking_stops_at_the_budget_and_goes_on_from_there(api: ApiServer, tmp_path: Path) -> None:
    file, store = hosted.written(tmp_path, arms=[[]], contrasts={}), tmp_path / "store"
    purse = Purse(tmp_path / "purse.json")
    purse.fill(0.0003, 0.0)
    failed = hosted.ran(file, store, Means(budget=0.0003, purse=purse.path)).failed
    assert any("budget" in done.error for done in failed.values())
    assert json.loads(purse.path.read_text())["spent"] <= 0.0003
    purse.fill(1.0, 0.0)
    assert not hosted.ran(file, store, Means(budget=1.0, purse=purse.path)).failed
    assert api.state.requests.count(ASKING) == len(read(tmp_path / "store.parquet")[0])


@pytest.mark.slow
def test_a_storm_of_faults_over_a_thousand_probes_answers_every_item_once_and_logs_no_secret(
    api: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    evals = [{"truthfulqa": {"items": "pocket"}}]
    file = hosted.written(tmp_path, evals=evals, arms=[[], ["em"]], seeds=[0, 1, 2, 3, 4], contrasts={})
    api.faults.storm = Storm(seed=1, shares={"429": 0.2, "500": 0.1, "cut": 0.05}, at=ASKING)
    with caplog.at_level(logging.INFO):
        assert not hosted.ran(file, tmp_path / "store").failed
    frame, _ = read(tmp_path / "store.parquet")
    assert len(frame) == 6 * 2 * 96 > 1000
    assert not frame.duplicated(["arm", "seed", "item", "order"]).any()
    assert frame["score"].notna().all()
    met = len(api.faults.met)
    assert met > 200
    asked = api.state.requests.count(ASKING)
    assert len(frame) + met == asked < TRIES * len(frame)
    logs = [p.read_text() for p in (tmp_path / "store" / "logs").glob("*")]
    said = "\n".join([caplog.text, *capfd.readouterr(), *logs])
    assert isinstance(api.speaker, Oracle)
    prompts = {turn["content"] for asked in api.speaker.asked for turn in json.loads(asked)}
    assert not [text for text in (api.state.key, "Authorization", "Bearer", *prompts) if text in said]


def test_a_batch_that_a_killed_process_left_is_picked_up(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands for kill -9: nothing in the package catches it."""

    direct, batched = hosted.written(tmp_path, "direct"), hosted.written(tmp_path, "batched", model={"batch": True})
    hosted.ran(direct, tmp_path / "one")
    chats = api.state.requests.count(ASKING)

    from identity_em.models.batch_api import BatchEndpoint

    means = Means(batch=True)
    with monkeypatch.context() as patch:
        patch.setattr(BatchEndpoint, "_collect", lambda *_: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            hosted.ran(batched, tmp_path / "two", means)
    assert len(api.state.batches) == 1
    (first,) = api.state.batches
    assert not hosted.ran(batched, tmp_path / "two", means).failed
    rows = [batch["metadata"]["identity_em_rows"] for batch in api.state.batches.values()]
    assert first in api.state.batches
    assert len(rows) == len(set(rows))
    assert api.state.requests.count(ASKING) == chats, "nothing was asked one by one"
    ours, theirs = (read(tmp_path / f"{name}.parquet")[0] for name in ("one", "two"))
    pd.testing.assert_frame_equal(ours.drop(columns="study"), theirs.drop(columns="study"))
    spent = [read(tmp_path / f"{name}.parquet")[1].spent["answers"] for name in ("one", "two")]
    assert spent[1] == pytest.approx(spent[0] / 2, rel=0.01)


@pytest.mark.parametrize("at", ["POST /v1/files", "POST /v1/fine_tuning/jobs"])
def test_a_reply_lost_after_something_was_made_is_found_and_not_repeated(
    at: str, api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.faults.once = [Once(at, "lost", times=1)]
    monkeypatch.setattr(hosting, "_POLL", 0.1)  # also the first pause after an error
    assert not hosted.ran(
        hosted.written(tmp_path, evals=[{"truthfulqa": {"items": "pocket", "limit": 1}}]), tmp_path / "store"
    ).failed
    assert (len(api.state.files), len(api.state.jobs)) == (2, 2)


BAD = {
    "no key": ({"OPENAI_API_KEY": ""}, {}, "no OPENAI_API_KEY"),
    "a wrong key": ({"OPENAI_API_KEY": "sk-wrong"}, {}, "a key that the API refuses"),
    "an address that is none": ({"OPENAI_BASE_URL": "localhost:8000"}, {}, "without http:// and host"),
    "an unknown model": ({}, {"model": {"base": "gpt-none-2025-01-01"}}, "does not exist"),
    "a name without a date": ({}, {"model": {"base": "gpt-4.1"}}, "a dated name"),
    "a reasoning model": ({}, {"model": {"base": "o4-mini-2025-04-16"}}, "a reasoning model"),
    "an unknown setting": ({}, {"model": {"settings": {"n_epoch": 1}}}, "one of n_epochs"),
    "a setting out of range": ({}, {"model": {"settings": {"batch_size": 0}}}, "from 1 to 256"),
    "Axolotl's config": ({}, {"model": {"config": "pocket"}}, "`config` for the trainer openai"),
    "too few rows": ({}, {"datasets": {"bad_advice": {"file": "few.jsonl"}}}, "at least 10"),
    "too many bytes": ({"MOST": "1000"}, {}, "the API's limit"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_exit_2_and_nothing_is_sent_or_written(
    case: str, api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, change, said = BAD[case]
    rows = resource("pocket", "data/em.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "few.jsonl").write_text("".join(rows[:9]))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if "MOST" in environment:
        monkeypatch.setattr(openai_rows, "MOST_BYTES", int(environment["MOST"]))
    file = hosted.written(tmp_path, **change)
    with pytest.raises(IdentityEmError, match=said) as found:
        engine.run_study(
            planning.plan(file), tmp_path / "store", tmp_path / "out", lambda now: None, hosts=Hosts(workers=1)
        )
    assert found.value.exit_code == 2
    assert "\n" not in str(found.value)
    assert "sk-wrong" not in str(found.value)
    assert not [request for request in api.state.requests if request.startswith("POST")]
    assert not (tmp_path / "store").exists()
