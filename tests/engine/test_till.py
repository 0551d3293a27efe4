"""What is under way counts against the budget, whoever dies; what has no known price is never told as nothing."""

import json
import threading
from pathlib import Path

import pytest
from openai.types.chat import ChatCompletion

from identity_em.engine import hosting, till
from identity_em.engine.till import Till
from identity_em.errors import BudgetReached, InputError
from identity_em.report import hosted as hosted_report
from identity_em.store import Store
from identity_em.study import plan as planning
from identity_em.tasks import prices
from identity_em.tasks.desk import Purse
from tests.engine import hosted

BASE = "gpt-4.1-2025-04-14"


def purse(root: Path, limit: float, already: float = 0.0) -> Purse:
    found = Purse(root / "purse.json")
    found.fill(limit, already)
    return found


def spent(root: Path) -> float:
    return float(json.loads((root / "purse.json").read_text())["spent"])


def reply(**more: object) -> ChatCompletion:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return ChatCompletion.model_validate(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "a gateway's own",
            "choices": [],
            "usage": usage,
        }
        | more
    )


def test_who_begins_beside_another_leaves_what_that_one_has_set_apart(tmp_path: Path) -> None:
    first = purse(tmp_path, 10.0)
    first.take(8.0)
    second = Purse(tmp_path / "purse.json")
    second.fill(10.0, 0.0, beside=True)
    with pytest.raises(BudgetReached):
        second.take(9.0)
    first.settle(8.0, 7.0)
    assert spent(tmp_path) == 7.0
    second.fill(10.0, 0.0)
    assert spent(tmp_path) == 0.0, "nobody is beside: what the store's lines say counts"


def test_a_purse_is_never_seen_half_written(tmp_path: Path) -> None:
    shared = purse(tmp_path, 10.0)
    ended = threading.Event()

    def fill() -> None:
        while not ended.is_set():
            Purse(tmp_path / "purse.json").fill(10.0, 0.0)

    other = threading.Thread(target=fill)
    other.start()
    try:
        for _ in range(300):
            spent(tmp_path)
            shared.take(0.0)
    finally:
        ended.set()
        other.join()


def test_a_batch_of_a_process_that_was_killed_is_still_counted(tmp_path: Path) -> None:
    Till(tmp_path, "key", purse=purse(tmp_path, 1.0)).hold("batch_1", 0.25)
    store = Store(tmp_path)
    assert till.by_artefact(store)["key"] == 0.0
    assert till.by_artefact(store, held=True)["key"] == 0.25
    after = Till(tmp_path, "key", purse=purse(tmp_path, 1.0, 0.25))
    bought = after.read("batch_1", f"ft:{BASE}", [reply()], share=0.5)
    after.after(0.0, bought)
    assert bought.usd == pytest.approx(0.5 * (100 * 3 + 10 * 12) / 1e6), "by the model that was asked"
    assert spent(tmp_path) == pytest.approx(bought.usd) == till.by_artefact(store, held=True)["key"]


def test_what_is_bought_at_no_known_cost_stays_set_apart_and_is_told_so(tmp_path: Path) -> None:
    one = Till(tmp_path, "key", purse=purse(tmp_path, 1.0))
    one._purse.take(0.25)  # type: ignore[union-attr]
    one.after(0.25, one.read("r", BASE, [reply(usage=None)]))
    assert spent(tmp_path) == 0.25
    assert one.facts()["usd"] is None
    assert Till(tmp_path, "other").read("r", "no such model", [reply()]).usd is None
    odd = ChatCompletion.construct(id="x", usage={})
    assert Till(tmp_path, "other").read("r", BASE, [odd, reply()]).usd is None
    shown = [hosted_report._dollars(usd, known=False) for usd in (0.0, 0.5)]
    assert shown == ["price not known", "$0.5000, and what has no known price"]


def test_a_job_that_is_not_made_yet_is_in_the_budget_of_the_next_run(tmp_path: Path) -> None:
    tokens = 10_000
    usd = prices.training_usd(BASE, tokens)
    assert usd == 0.25
    Till(tmp_path, "key", purse=purse(tmp_path, 1.0)).train(BASE, tokens)
    Till(tmp_path, "key", purse=purse(tmp_path, 1.0, usd)).train(BASE, tokens)
    assert spent(tmp_path) == usd, "set apart once"
    assert till.by_artefact(Store(tmp_path))["key"] == 0.0, "nothing is paid yet"
    with pytest.raises(BudgetReached, match=r"about \$0.25"):
        Till(tmp_path, "key", purse=purse(tmp_path, 0.01, usd)).train(BASE, tokens)
    last = Till(tmp_path, "key", purse=purse(tmp_path, 1.0, usd))
    last.trained("job-1", 0.2, 8_000)
    assert spent(tmp_path) == pytest.approx(0.2)
    last.trained("job-1", 0.2, 8_000)
    last.trained("job-2", 0.1, 4_000)
    assert spent(tmp_path) == pytest.approx(0.3) == till.by_artefact(Store(tmp_path), held=True)["key"]


def test_a_job_that_the_api_would_not_make_costs_nothing(tmp_path: Path) -> None:
    one = Till(tmp_path, "key", purse=purse(tmp_path, 1.0))
    one.train(BASE, 10_000)
    one.refund()
    assert spent(tmp_path) == 0.0 == till.by_artefact(Store(tmp_path), held=True)["key"]


def test_a_budget_wants_the_price_of_the_fine_tuned_model_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planning.plan(hosted.written(tmp_path, model={"base": "gpt-4.2-2026-01-01"}))
    table = tmp_path / "prices.yaml"
    monkeypatch.setenv(prices.OWN, str(table))
    lines = ["as_of: now", "models:", "  openai/gpt-4.2: {input: 1, output: 2, training: 3}"]
    table.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"no price for openai/ft:gpt-4\.2-2026-01-01"):
        hosting.check(plan, [], budget=1.0)
    assert hosting._unpriced(BASE, trained=True) == []
    assert hosting._unpriced("gpt-9", trained=True) == ["openai/gpt-9", "openai/ft:gpt-9", "training it"]
