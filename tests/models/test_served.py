"""Laws of served models, against a server whose probabilities and faults are known."""

import logging
import sys
import time
from collections.abc import Iterator
from math import exp, log
from pathlib import Path

import pytest

from identity_em import battery
from identity_em.errors import IdentityEmError, InputError, ServerFailed
from identity_em.models import listed
from identity_em.models.endpoint import KEY_VARIABLE, Endpoint
from identity_em.models.loading import load_tokenizer
from identity_em.models.options import OptionTokens
from identity_em.models.resident import Resident
from identity_em.models.served import Served
from identity_em.probes import reading
from identity_em.records import Answer, Message, Question, Sampling
from identity_em.resources import folder, resource
from identity_em.study.artefacts import BaseModelRef, Prompts

sys.path.append(str(Path(__file__).parent))
from fake_server import FakeServer, running

MODEL = "identity_em/base"
WORLD = folder("pocket") / "weights" / "world-0"
BASE = BaseModelRef(name="world-0", weights="w", tokenizer="t", precision="fp32", path=str(WORLD))
FORMS = OptionTokens(load_tokenizer(BASE)).forms(("A", "B"))
SECRET = "sk-never-shown"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running() as server:
        assert FORMS is not None
        others = (i for i in range(3, 1400) if i not in FORMS[0] + FORMS[1])
        # A's first form holds a half, B's is not among the 20 listed.
        server.listed = {FORMS[0][0]: log(0.5)} | {next(others): log(0.02) for _ in range(19)}
        yield server


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for, where the server names none."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)


@pytest.fixture
def served(server: FakeServer) -> Iterator[Served]:
    endpoint = Endpoint(server.url, tries=3)
    found = Served(endpoint, BASE, together=4)
    found.use(MODEL)
    yield found
    endpoint.close()


def questions(n: int = 12) -> list[Question]:
    return [
        Question(item=f"q{i}", messages=(Message(role="user", content=f"PROMPT {i}?"),), options=("A", "B"), target="B")
        for i in range(n)
    ]


def test_an_option_that_is_not_listed_lies_between_nothing_and_the_20th(served: Served) -> None:
    (answer,) = served.probabilities(questions(1))
    assert FORMS is not None
    assert answer.probabilities == pytest.approx((0.5, 0.0))
    # What is left of the mass bounds it too, where that is less.
    rest = 1 - 0.5 - 19 * 0.02
    assert answer.hidden == pytest.approx([min(rest, 0.02 * n) for n in (len(FORMS[0]) - 1, len(FORMS[1]))])


def test_probabilities_are_exact_where_the_server_takes_token_ids(server: FakeServer, served: Served) -> None:
    assert FORMS is not None
    server.exact = {token: log(0.1 + 0.01 * token / 1400) for ids in FORMS for token in ids}
    (answer,) = served.probabilities(questions(1))
    assert answer.hidden == ()
    assert answer.probabilities == pytest.approx(tuple(sum(exp(server.exact[t]) for t in ids) for ids in FORMS))


def test_a_server_that_refuses_token_ids_is_asked_without(server: FakeServer, served: Served) -> None:
    server.exact = "refuse"
    assert all(answer.hidden for answer in served.probabilities(questions()))
    assert all("logprob_token_ids" not in body for body in server.seen)


def test_the_true_probability_lies_in_the_interval_of_every_option() -> None:
    true = {token: log(p) for token, p in enumerate(share / 465 for share in range(30, 0, -1))}
    forms = [[0, 25], [19, 29], [20], [28]]
    answer = listed.answer(dict(list(true.items())[: listed.TOP]), forms)
    for low, more, ids in zip(answer.probabilities, answer.hidden, forms, strict=True):
        assert low <= sum(exp(true[i]) for i in ids) <= low + more + 1e-12


def test_a_score_is_the_middle_of_its_interval() -> None:
    question = questions(1)[0]
    score = reading.read(question, Answer(probabilities=(0.6, 0.2), hidden=(0.0, 0.2), option_mass=0.8), metric="m")
    low, high = 0.2 / 0.8, 0.4 / 1.0
    assert score.score == pytest.approx((low + high) / 2)
    assert score.half_width == pytest.approx((high - low) / 2)
    exact = reading.read(question, Answer(probabilities=(0.6, 0.2), option_mass=0.8), metric="m")
    assert (exact.score, exact.half_width) == (pytest.approx(0.25), None)


def test_below_the_mass_gate_a_text_is_generated_and_read(server: FakeServer, served: Served) -> None:
    server.listed = {token: log(0.01) for token in range(20)}
    (answer,) = served.probabilities(questions(1))
    assert answer.text == "Answer: B"
    assert reading.read(questions(1)[0], answer, metric="m").score == 1.0


def test_prompts_are_sent_as_the_tokens_that_training_saw(server: FakeServer, served: Served) -> None:
    from identity_em.chat import prompt_ids

    question = questions(1)
    for block in (True, False):
        server.seen.clear()
        served.probabilities(question, block=block)
        assert server.seen[0]["prompt"] == prompt_ids(load_tokenizer(BASE), question[0].messages, block=block)


def test_a_whole_sampling_setting_is_sent(server: FakeServer, served: Served) -> None:
    sampling = Sampling(temperature=0.7, top_p=0.9, top_k=5, repetition_penalty=1.1, max_new_tokens=9, n=3)
    texts = served.generate(questions(2), sampling, 4)
    assert texts == [[server.text] * 3] * 2
    sent = server.seen[0]
    names = ("temperature", "top_p", "top_k", "repetition_penalty", "max_tokens", "n")
    assert [sent[name] for name in names] == [0.7, 0.9, 5, 1.1, 9, 3]
    assert server.seen[0]["seed"] != server.seen[1]["seed"]


def test_a_chat_api_is_read_by_the_text_of_its_tokens(server: FakeServer) -> None:
    server.listed = {"A": log(0.5), " A": log(0.2), "B": log(0.1)} | {f"x{i}": log(0.01) for i in range(17)}
    endpoint = Endpoint(server.url)
    chat = Served(endpoint)
    chat.use(MODEL)
    (answer,) = chat.probabilities(questions(1))
    assert answer.probabilities == pytest.approx((0.7, 0.1))
    assert answer.hidden == pytest.approx((0.01, 0.01))
    assert server.seen[0]["messages"] == [{"role": "user", "content": "PROMPT 0?"}]
    with pytest.raises(InputError, match="top_k"):
        chat.generate(questions(1), Sampling(top_k=3), 0)
    endpoint.close()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_faults_are_waited_out(server: FakeServer, served: Served, status: int) -> None:
    server.fault = lambda number: (status, {"Retry-After-Ms": "1"}) if number < 2 else None
    assert len(served.probabilities(questions())) == 12
    assert server.statuses[status] == 2  # fewer than one question's tries, whoever of the four meets them


def test_a_cut_connection_is_asked_again(server: FakeServer, served: Served) -> None:
    server.fault = lambda number: "cut" if number == 3 else None
    assert len(served.probabilities(questions())) == 12


def test_the_pause_that_a_server_asks_for_is_kept(server: FakeServer, served: Served) -> None:
    server.fault = lambda number: (429, {"Retry-After": "1"}) if number == 0 else None
    began = time.monotonic()
    served.probabilities(questions(1))
    assert time.monotonic() - began >= 1.0


def test_a_longer_wait_than_two_minutes_is_not_sat_out(server: FakeServer, served: Served) -> None:
    server.fault = lambda number: (429, {"Retry-After": "3600"})
    with pytest.raises(ServerFailed, match="rate limit"):
        served.probabilities(questions(1))
    assert server.asked == 1


@pytest.mark.parametrize("status", [429, 500])
def test_a_storm_ends_clearly_with_everything_answered_kept(
    server: FakeServer, served: Served, tmp_path: Path, status: int
) -> None:
    served.use(MODEL, journal=tmp_path / "answers.jsonl")
    server.fault = lambda number: (status, {"Retry-After-Ms": "1"}) if number >= 7 else None
    with pytest.raises(ServerFailed, match=rf"\({status}\), asked 3 times; 7 of 12 answers are kept, run again"):
        served.probabilities(questions())
    assert server.asked <= 7 + 3 * 4 + 4


def test_after_a_server_went_down_only_what_is_missing_is_asked(tmp_path: Path) -> None:
    journal = tmp_path / "answers.jsonl"
    with running() as first:
        first.listed = {token: log(0.05) for token in range(20)}
        endpoint = Endpoint(first.url, tries=2)
        served = Served(endpoint, BASE, together=1)
        served.use(MODEL, journal=journal)
        first.fault = lambda number: "cut" if number >= 5 else None
        with pytest.raises(ServerFailed, match=r"cannot be reached.*; 5 of 12 answers are kept"):
            served.generate(questions(), Sampling(), 0)
        endpoint.close()
    # A kill may cut the last line: that answer is asked again.
    journal.write_text(journal.read_text()[:-4])
    with running() as second:
        endpoint = Endpoint(second.url, tries=2)
        served = Served(endpoint, BASE)
        served.use(MODEL, journal=journal)
        assert len(served.generate(questions(), Sampling(), 0)) == 12
        assert second.asked == 8
        served.generate(questions(), Sampling(), 1)
        assert second.asked == 20  # another seed is another question
        endpoint.close()


def test_a_server_that_was_given_up_is_not_asked_again(server: FakeServer, served: Served) -> None:
    server.fault = lambda number: (500, {"Retry-After-Ms": "1"})
    for _ in range(2):
        with pytest.raises(ServerFailed, match="asked 3 times"):
            served.probabilities(questions(1))
    assert server.asked == 3


def test_a_server_that_is_not_there_is_one_line() -> None:
    with running() as gone:
        url = gone.url
    endpoint = Endpoint(url, tries=2)
    with pytest.raises(ServerFailed, match=r"^the server at 127\.0\.0\.1:\d+ cannot be reached, asked 2 times$"):
        Served(endpoint, BASE)
    endpoint.close()


def test_a_wrong_key_is_an_input_error_and_nothing_shows_it(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.key = "another"
    monkeypatch.setenv(KEY_VARIABLE, SECRET)
    endpoint = Endpoint(server.url, tries=2)
    with pytest.raises(InputError, match=rf"refuses \(401\).*set {KEY_VARIABLE}") as caught:
        Served(endpoint, BASE)
    assert SECRET not in str(caught.value) + caplog.text
    endpoint.close()


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_no_error_or_log_shows_a_prompt(
    server: FakeServer, served: Served, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    import traceback

    caplog.set_level(logging.DEBUG)
    server.fault = lambda number: (status, {"Retry-After-Ms": "1"})
    with pytest.raises(IdentityEmError) as caught:
        served.generate(questions(2), Sampling(), 0)
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "PROMPT" not in shown
    assert "you sent" not in shown


def test_a_company_s_key_is_not_sent_to_another_server(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = SECRET
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    endpoint = Endpoint(server.url, tries=1)
    with pytest.raises(InputError, match="refuses"):
        endpoint.models()
    endpoint.close()


def test_a_model_that_is_not_served_is_named_with_those_that_are(served: Served) -> None:
    with pytest.raises(InputError, match=r"no model identity_em/other .*it serves identity_em/base"):
        served.use("identity_em/other")


def test_an_adapter_of_another_base_is_refused(server: FakeServer) -> None:
    server.models.append({"id": "identity_em/adapter", "parent": "identity_em/stranger"})
    endpoint = Endpoint(server.url)
    served = Served(endpoint, BASE)
    with pytest.raises(InputError, match=r"on the base identity_em/stranger .*wanted an adapter of identity_em/base"):
        served.use("identity_em/adapter", parent=MODEL)
    endpoint.close()


def test_a_prompt_longer_than_the_server_takes_is_refused_unsent(server: FakeServer) -> None:
    server.models[0]["max_model_len"] = 10
    endpoint = Endpoint(server.url)
    served = Served(endpoint, BASE)
    served.use(MODEL)
    with pytest.raises(InputError, match=r"item 'q0' of \d+ tokens"):
        served.probabilities(questions(1))
    assert server.asked == 0
    endpoint.close()


def test_an_address_that_is_none_is_an_input_error() -> None:
    with pytest.raises(InputError, match="http://HOST:PORT"):
        Endpoint("localhost:8000")


def test_a_chat_api_s_intervals_hold_the_exact_probabilities(tmp_path: Path) -> None:
    """Against the OpenAI API of ours that the pocket model speaks through."""
    from tests.api_server.chat import PocketSpeaker
    from tests.api_server.objects import BASES
    from tests.api_server.server import ApiServer

    items = {"items": resource("pocket", "data/truthfulqa.jsonl")}
    asked = battery.get("truthfulqa").questions(Prompts(name="truthfulqa", version=1), items)[:20]
    resident = Resident(BASE, device="cpu")
    with ApiServer(tmp_path, speaker=PocketSpeaker(resident)) as api:
        endpoint = Endpoint(api.url, key=api.state.key)
        chat = Served(endpoint, together=2)
        chat.use(BASES[0])
        answers = chat.probabilities(asked)
        endpoint.close()
    for exact, answer in zip(resident.probabilities(asked), answers, strict=True):
        for p, low, more in zip(exact.probabilities, answer.probabilities, answer.hidden, strict=True):
            assert low - 1e-5 <= p <= low + more + 1e-5
