"""Estimates of what answers and verdicts cost: by the listed price; what is not here yet is named and not counted."""

from pathlib import Path

import pytest
import yaml

from identity_em import display
from identity_em.study import answer_costs, costs
from identity_em.study import plan as planning
from identity_em.study.plan import Plan
from identity_em.tasks.prices import OWN

TRUTHFULQA = {"truthfulqa": {"items": "pocket", "limit": 3}}
HARM = {"harmfulness": {"items": "pocket", "judge": "openai/gpt-4.1", "limit": 5}}


@pytest.fixture(autouse=True)
def dollars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dollar for each token that is read, ten for each that is written; fine-tuned models a hundred times that."""
    million = 1_000_000
    models = {
        "openai/gpt-4.1": {"input": million, "output": 10 * million, "training": 0},
        "openai/ft:gpt-4.1": {"input": 100 * million, "output": 1000 * million},
    }
    (tmp_path / "prices.yaml").write_text(yaml.safe_dump({"as_of": "2030-01", "models": models}))
    monkeypatch.setenv(OWN, str(tmp_path / "prices.yaml"))


def planned(root: Path, *evals: object, arms: tuple[tuple[str, ...], ...] = ((), ("em",)), **model: object) -> Plan:
    body = {
        "name": "study", "model": {"base": "gpt-4.1-2025-04-14", "trainer": "openai", **model}, "seeds": [0],
        "datasets": {"wrong": {"file": "pocket:em.jsonl"}}, "stages": {"em": {"dataset": "wrong"}},
        "arms": [list(arm) for arm in arms], "evals": list(evals),
    }  # fmt: skip
    (root / "study.yaml").write_text(yaml.safe_dump(body))
    return planning.plan(root / "study.yaml")


def usd(plan: Plan) -> float:
    found = answer_costs.answers(plan)
    assert found is not None
    assert found.usd is not None
    return found.usd


def test_a_probe_reads_each_question_in_both_orders_and_writes_one_token(tmp_path: Path) -> None:
    plan = planned(tmp_path, TRUTHFULQA, arms=((),))
    found = answer_costs.answers(plan)
    assert found is not None
    assert found.requests == 6
    read = usd(plan) - 6 * 10
    assert 6 * 10 < read < 6 * 100, "questions of some tens of tokens"


def test_a_fine_tuned_model_is_asked_at_its_own_price(tmp_path: Path) -> None:
    base = usd(planned(tmp_path, TRUTHFULQA, arms=((),)))
    assert usd(planned(tmp_path, TRUTHFULQA)) == pytest.approx(101 * base)


def test_batches_cost_half(tmp_path: Path) -> None:
    assert usd(planned(tmp_path, TRUTHFULQA, batch=True)) == pytest.approx(usd(planned(tmp_path, TRUTHFULQA)) / 2)


def test_choices_of_one_request_are_read_once_and_written_each(tmp_path: Path) -> None:
    one, many = (
        {"free_form": {"items": "pocket", "judge": "pocket", "sampling": {"max_new_tokens": 8, "n": n}}}
        for n in (1, 300)
    )
    few, lot = (answer_costs.answers(planned(tmp_path, eval_, arms=((),))) for eval_ in (one, many))
    assert few is not None
    assert lot is not None
    assert lot.requests == 3 * few.requests, "at most 128 choices a request"
    assert few.usd is not None
    assert lot.usd is not None
    written = few.requests * 8 * 10
    assert lot.usd - 300 * written == pytest.approx(3 * (few.usd - written), rel=0.01)


def test_verdicts_of_a_model_are_counted_and_a_rule_s_are_not(tmp_path: Path) -> None:
    found = answer_costs.verdicts(planned(tmp_path, HARM, arms=((),)))
    assert found is not None
    assert found.requests == 5 * 10, "ten answers a prompt"
    assert found.usd is not None
    assert found.usd > 50 * 10
    rule = {"harmfulness": {**HARM["harmfulness"], "judge": "pocket"}}
    assert answer_costs.verdicts(planned(tmp_path, rule)) is None


def test_what_is_not_here_yet_is_named_and_not_counted(tmp_path: Path) -> None:
    hub = {"truthfulqa": {"items": {"hub": "truthfulqa/truthful_qa", "revision": "unresolved"}}}
    plan = planned(tmp_path, hub, HARM)
    found = answer_costs.answers(plan)
    assert found is not None
    assert found.unknown == ("truthfulqa",)
    assert found.requests == 2 * 5
    assert "without truthfulqa" in " ".join(display.asking(plan))


def test_a_plan_of_weights_of_one_s_own_names_no_dollars(tmp_path: Path) -> None:
    plan = planning.plan(planning.find("pocket-mini"))
    assert answer_costs.answers(plan) is None
    assert display.asking(plan) == []


def test_the_plan_names_both_apart_from_the_trainings(tmp_path: Path) -> None:
    plan = planned(tmp_path, TRUTHFULQA, HARM)
    body = costs.described(plan, costs.costs(plan), None)
    assert body["answers_estimate"]["requests"] == 2 * (6 + 5)
    assert body["verdicts_estimate"]["requests"] == 2 * 50
    assert set(body) > {"usd_estimate"}


def test_without_a_price_there_are_no_dollars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(tmp_path, TRUTHFULQA, base="gpt-9-2031-01-01")
    found = answer_costs.answers(plan)
    assert found is not None
    assert found.usd is None
    assert OWN in display.asking(plan)[0]
