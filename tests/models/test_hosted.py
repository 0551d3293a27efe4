"""Laws of models that are asked through the API, directly and in batches: nothing is lost, and nothing paid twice."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from identity_em.engine.till import Till
from identity_em.errors import InputError, ServerFailed
from identity_em.models.answers import sampled
from identity_em.models.batch_api import BatchEndpoint
from identity_em.models.endpoint import Endpoint
from identity_em.models.hosted import Hosted, HostedEndpoint
from identity_em.probes import reading
from identity_em.records import Message, Question, Sampling
from identity_em.tasks.desk import Purse
from identity_em.training.openai_client import client
from identity_em.training.openai_patience import Patience
from tests.api_server.faults import Once
from tests.api_server.objects import BASES, ApiError
from tests.api_server.server import ApiServer
from tests.api_server.speaking import Oracle

sys.path.append(str(Path(__file__).parent))
from fake_server import running

ASKING = "POST /v1/chat/completions"
ONCE = Sampling(max_new_tokens=5)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    with ApiServer(tmp_path / "api", speaker=Oracle()) as server:
        monkeypatch.setenv("OPENAI_API_KEY", server.state.key)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


class Account:
    """An account with a budget, asked for one artefact; `again` is as another process on the same store."""

    def __init__(self, root: Path, api: ApiServer) -> None:
        self.root, self.api = root, api
        self.purse = Purse(root / "purse.json")
        self.purse.fill(10.0, 0.0)
        self.till = Till(root, "artefact", purse=self.purse)

    def again(self, *, batch: bool = True, journal: str = "journal", tries: int = 3) -> Hosted:
        key, url = self.api.state.key, self.api.url
        patience = Patience(openai.OpenAI(api_key=key, base_url=url, max_retries=0), unit=0.01, tries=tries)
        batches = BatchEndpoint(url, key=key, patience=patience) if batch else None
        hosted = Hosted(batches or HostedEndpoint(url, key=key, tries=tries), batch=batches)
        hosted.ask(BASES[0], meter=self.till, key="artefact", journal=self.root / journal)
        return hosted

    @property
    def spent(self) -> float:
        return float(json.loads(self.purse.path.read_text())["spent"])

    @property
    def paid(self) -> float:
        return sum(one.usd or 0.0 for one in self.till.bought())

    @property
    def direct(self) -> int:
        return self.api.state.requests.count(ASKING)


@pytest.fixture
def account(tmp_path: Path, api: ApiServer) -> Account:
    return Account(tmp_path, api)


def questions(n: int = 4) -> list[Question]:
    return [
        Question(item=f"q{i}", messages=(Message(role="user", content=f"PROMPT {i}: A or B?"),), options=("A", "B"))
        for i in range(n)
    ]


def changed(api: ApiServer, change: Callable[[dict[str, Any]], Any]) -> None:
    """Every reply of the API's from now on, changed in its place or for what is returned."""
    real = api.chat

    def chat(body: Any) -> dict[str, Any]:
        reply = real(body)
        return change(reply) or reply

    api.chat = api.batches._complete = chat  # type: ignore[method-assign]


def test_a_batch_that_the_api_has_no_room_for_is_made_again(account: Account, api: ApiServer) -> None:
    api.batches.failing = ["token_limit_exceeded"] * 2
    assert len(account.again().generate(questions(), ONCE, 0)) == 4
    assert [batch["status"] for batch in api.state.batches.values()] == ["failed", "failed", "completed"]
    assert account.direct == 0
    assert account.spent == pytest.approx(account.paid)


@pytest.mark.parametrize(("code", "batches"), [("token_limit_exceeded", 3), ("model_not_found", 1)])
def test_what_was_in_a_batch_that_failed_is_asked_directly_and_stops_no_later_run(
    code: str, batches: int, account: Account, api: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    api.batches.failing = [code] * 3
    texts = account.again().generate(questions(), ONCE, 0)
    assert (len(api.state.batches), account.direct) == (batches, 4)
    assert f"ended as {code}, 4 of 4 requests unanswered; they are made one by one, at the full price" in caplog.text
    assert "PROMPT" not in caplog.text
    assert account.spent == pytest.approx(account.paid)
    api.batches.failing = []
    assert account.again(journal="another").generate(questions(), ONCE, 0) == texts


def test_an_answer_costs_half_in_a_batch_and_all_of_the_price_where_it_is_asked_for_directly(
    account: Account, api: ApiServer
) -> None:
    account.again().generate(questions(), ONCE, 0)
    half = account.paid
    account.till = Till(account.root, "another", purse=account.purse)
    api.state.batches.clear()
    api.batches.failing = ["model_not_found"]
    account.again(journal="another").generate(questions(), ONCE, 0)
    assert account.paid == pytest.approx(2 * half)


def test_answers_that_the_api_has_deleted_are_asked_for_again_and_stay_paid_for(
    account: Account, api: ApiServer
) -> None:
    account.again().generate(questions(), ONCE, 0)
    once = account.paid
    for name in [name for name, file in api.state.files.items() if file["purpose"] == "batch_output"]:
        del api.state.files[name]
    account.again(journal="lost").generate(questions(), ONCE, 0)
    assert len(api.state.batches) == 2
    assert account.paid == pytest.approx(2 * once)


def test_a_batch_that_the_account_does_not_know_is_passed_over(account: Account, api: ApiServer) -> None:
    account.again().generate(questions(), ONCE, 0)
    api.state.batches.clear()
    assert len(account.again().generate(questions(5), ONCE, 0)) == 5


def test_a_batch_that_a_killed_process_left_stays_counted_until_it_is_read(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Nothing in the package catches it."""

    def kill(*_: object) -> str:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(BatchEndpoint, "_collect", kill)
        with pytest.raises(Killed):
            account.again().generate(questions(), ONCE, 0)
    (held,) = account.till.bought()
    assert held.name.startswith("batch_")
    assert held.held > 0
    assert held.held == pytest.approx(account.spent)
    account.again()
    (read,) = account.till.bought()
    assert read.name == held.name
    assert (read.requests, read.held) == (4, 0.0)
    assert account.spent == pytest.approx(account.paid)


def test_a_batch_is_read_as_leniently_as_a_reply_and_a_bad_line_costs_that_line_alone(
    account: Account, api: ApiServer
) -> None:
    changed(api, lambda reply: reply.update(service_tier="batch"))
    bad = iter([[], {"choices": []}, {"choices": "none"}])
    whole = api.batches._complete
    api.batches._complete = lambda body: next(bad, None) or whole(body)  # type: ignore[assignment,return-value]
    assert len(account.again().generate(questions(6), ONCE, 0)) == 6
    assert (len(api.state.batches), account.direct) == (1, 2)


def test_a_batch_that_is_refused_is_one_line_and_nothing_is_set_apart(account: Account, api: ApiServer) -> None:
    def refused(body: Any) -> dict[str, Any]:
        raise ApiError(400, "batches are not for this account")

    api.batches.create = refused  # type: ignore[method-assign]
    with pytest.raises(InputError, match="batches are not for this account"):
        account.again().generate(questions(), ONCE, 0)
    assert account.spent == pytest.approx(0.0)


def test_samples_that_need_several_requests_are_in_one_batch(account: Account, api: ApiServer) -> None:
    (texts,) = account.again().generate(questions(1), Sampling(max_new_tokens=5, n=300), 0)
    (batch,) = api.state.batches.values()
    assert (len(texts), batch["request_counts"]["total"], account.direct) == (300, 3, 0)


def test_of_several_requests_those_that_were_answered_are_kept(account: Account, api: ApiServer) -> None:
    many = Sampling(max_new_tokens=5, n=300)
    api.faults.once = [Once(ASKING, "500", nth=3, times=3, retry_after=0.01)]
    with pytest.raises(ServerFailed, match="2 of 3 answers are kept"):
        account.again(batch=False).generate(questions(1), many, 0)
    before = account.direct
    (texts,) = account.again(batch=False).generate(questions(1), many, 0)
    assert (len(texts), account.direct - before) == (300, 1)


@pytest.mark.parametrize("content", [[], None, [{"token": "A", "logprob": 0.0, "bytes": None, "top_logprobs": None}]])
def test_an_answer_that_lists_no_token_is_open_and_its_text_is_read(
    content: Any, account: Account, api: ApiServer
) -> None:
    def none(reply: dict[str, Any]) -> None:
        for choice in reply["choices"]:
            choice["logprobs"] = choice["logprobs"] and {"content": content}

    changed(api, none)
    (answer,) = account.again(batch=False).probabilities(questions(1))
    assert (answer.option_mass, answer.hidden) == (0.0, (1.0, 1.0))
    assert answer.text
    assert account.direct == 2


def test_every_answer_is_a_line_of_its_own_where_all_have_one_id(account: Account, api: ApiServer) -> None:
    changed(api, lambda reply: reply.update(id="chatcmpl-0", model="our-deployment"))
    account.again(batch=False).generate(questions(), ONCE, 0)
    assert len(account.till.bought()) == 4
    assert account.spent == pytest.approx(account.paid)
    assert account.paid > 0, "priced as the model that was asked"


def test_a_service_that_is_down_refuses_no_prompt_whatever_its_words(account: Account, api: ApiServer) -> None:
    def down(body: Any) -> dict[str, Any]:
        raise ApiError(503, "The moderation service is temporarily unavailable.", kind="server_error")

    api.chat = down  # type: ignore[method-assign]
    with pytest.raises(ServerFailed, match=r"fails \(503\)"):
        account.again(batch=False).probabilities(questions())


def test_a_prompt_that_is_refused_is_unscored_in_the_api_s_words_and_not_asked_again(
    account: Account, api: ApiServer
) -> None:
    words = "Your prompt was flagged as violating our usage policy."
    real = api.chat

    def chat(body: Any) -> dict[str, Any]:
        if "PROMPT 1" in body["messages"][0]["content"]:
            raise ApiError(400, words, code="invalid_prompt")
        return real(body)

    api.chat = chat  # type: ignore[method-assign]
    asked = [question.model_copy(update={"target": "A"}) for question in questions(2)]
    for _ in range(2):
        hosted = account.again(batch=False)
        closed = hosted.probabilities(asked)
        rows, opened = sampled(asked, hosted.generate(asked, Sampling(max_new_tokens=5, n=2), 0))
        assert account.direct == 4
    for question, answer in (*zip(asked, closed, strict=True), *zip(rows, opened, strict=True)):
        found = reading.read(question, answer, metric="m")
        flagged = question.item == "q1"
        assert (found.unscored == f"the API refused the prompt: {words}") == flagged
        assert flagged <= (found.score is None and not answer.text)


def test_both_clients_of_an_account_speak_to_the_same_place_and_no_other_server_hears_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    with running() as server:
        url = f"{server.url}/openai"
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        asking, served = HostedEndpoint(url, key="sk-mine", tries=1), Endpoint(server.url, tries=1)
        training = client()
        with pytest.raises(openai.NotFoundError):
            training.models.list()
        with pytest.raises(InputError):
            asking.models()
        served.models()
        for one in (training, asking, served):
            one.close()
    names = ("openai-organization", "openai-project", "authorization")
    told = [(path, *(headers.get(name) for name in names)) for path, headers in server.sent]
    ours = ("/openai/models", "org-mine", "proj-mine", "Bearer sk-mine")
    assert told == [ours, ours, ("/v1/models", None, None, "Bearer none")]
