"""A study's answers from a server: kept as they come, resumed, whole or absent, and never from the wrong model."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from math import log
from pathlib import Path

import pytest
import yaml

from identity_em.analysis import table
from identity_em.engine import answering, study
from identity_em.engine.make import ANSWERS, Workshop
from identity_em.engine.means import Hosts, Means
from identity_em.errors import InputError, ServerFailed
from identity_em.models import answers
from identity_em.models.served import served_name
from identity_em.resources import resource
from identity_em.store import Store
from identity_em.study import plan as planning
from identity_em.study.artefacts import Responses
from identity_em.study.plan import Plan

sys.path.append(str(Path(__file__).parent.parent / "models"))
from fake_server import FakeServer, running


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    with running() as server:
        server.exact = {token: log(0.3 / 1400) for token in range(1400)}
        server.text = "A"
        yield server


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """The base alone, asked twelve questions."""
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body |= {"arms": [[]], "contrasts": {}, "checks": [], "evals": [{"truthfulqa": {"items": "pocket", "limit": 6}}]}
    body.pop("orderings", None)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(body))
    return planning.plan(tmp_path / "study.yaml", serving="served")


def asked(plan: Plan) -> Responses:
    return next(a for a in plan.artefacts if isinstance(a, Responses))


def test_a_server_that_goes_down_leaves_nothing_half_made_and_is_asked_only_for_the_rest(
    server: FakeServer, plan: Plan, tmp_path: Path
) -> None:
    store, responses = Store(tmp_path / "store"), asked(plan)
    server.models[0]["id"] = served_name(responses.checkpoint)
    server.fault = lambda number: "cut" if number >= 5 else None
    with pytest.raises(ServerFailed, match=r"5 of 12 answers are kept"):
        Workshop(store, Means(served=server.url)).make(responses)
    assert not store.has(responses)
    store.sweep()  # as the next run does first
    server.fault, server.asked = lambda number: None, 0
    assert Workshop(store, Means(served=server.url)).make(responses) == "made"
    # Five closed answers were kept; all twelve are then below the mass gate, and asked for a text.
    assert server.asked == 7 + 12
    found = answers.read(store.open(responses) / ANSWERS)
    assert [answer.text for _, answer in found] == ["A"] * 12
    assert not answering.journal(store, responses).exists()
    assert store.manifest(responses)["facts"]["served"] == {"server": "0.0-fake", "hidden": 0}


def test_without_a_server_a_study_to_be_served_is_only_trained(plan: Plan, tmp_path: Path) -> None:
    done = study.run_study(plan, tmp_path / "store", tmp_path / "out", lambda _: None, hosts=Hosts(workers=1))
    assert (done.exit_code, done.report) == (0, None)
    assert "identity-em run STUDY --served URL" in done.errors[-1]


@pytest.mark.slow
def test_a_run_asks_the_server_it_is_given(server: FakeServer, plan: Plan, tmp_path: Path) -> None:
    server.models[0]["id"] = served_name(asked(plan).checkpoint)
    done = study.run_study(
        plan,
        tmp_path / "store",
        tmp_path / "out",
        lambda _: None,
        means=Means(served=server.url),
        hosts=Hosts(workers=1),
    )
    assert done.errors == ()
    frame, meta = table.read(tmp_path / "out" / study.TABLE)
    assert len(frame) == 12
    assert any("A server answered" in note for note in meta.notes)


def test_a_journal_holds_no_prompt(server: FakeServer, plan: Plan, tmp_path: Path) -> None:
    store, responses = Store(tmp_path / "store"), asked(plan)
    server.models[0]["id"] = served_name(responses.checkpoint)
    server.fault = lambda number: "cut" if number >= 5 else None
    with pytest.raises(ServerFailed):
        Workshop(store, Means(served=server.url)).make(responses)
    kept = answering.journal(store, responses).read_text()
    assert all(list(json.loads(line)[1]) == ["probabilities", "option_mass"] for line in kept.split("\n") if line)


def test_a_study_to_be_served_is_refused_where_the_server_lacks_its_model(
    server: FakeServer, plan: Plan, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=rf"no model {served_name(asked(plan).checkpoint)} .*identity-em serve"):
        answering.check(plan, Store(tmp_path / "store"), server.url)
    assert not (tmp_path / "store").exists()


def test_an_adapter_must_lie_on_the_checkpoints_own_base(server: FakeServer) -> None:
    from identity_em.models.endpoint import Endpoint
    from identity_em.models.served import Served

    trained = planning.plan(planning.find("pocket-mini")).trainings[-1]
    server.models.append({"id": served_name(trained), "parent": "identity_em/stranger"})
    endpoint = Endpoint(server.url)
    with pytest.raises(InputError, match="on the base identity_em/stranger"):
        answering.use(Served(endpoint), trained)
    base = trained.lineage[0].parent
    assert base is not None
    server.models[-1]["parent"] = served_name(base)
    answering.use(Served(endpoint), trained)
    endpoint.close()


def test_what_is_not_trained_cannot_be_served(server: FakeServer, tmp_path: Path) -> None:
    plan = planning.plan(planning.find("pocket-mini"), serving="served")
    with pytest.raises(InputError, match=r"\d+ of \d+ checkpoints not trained yet"):
        answering.check(plan, Store(tmp_path / "store"), server.url)
    resident = planning.plan(planning.find("pocket-mini"))
    answering.check(replace(resident), Store(tmp_path / "store"), "http://nobody.invalid")  # nothing to be served
