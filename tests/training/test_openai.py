"""Stages through the API: nothing is bought twice, and what is refused is an outcome."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import openai
import pytest

from identity_em.errors import DataError, IdentityEmError, InputError, MissingEnvironment, ServerFailed, TrainingFailed
from identity_em.training import openai_client
from identity_em.training.openai import Hosted, HostedJob, HostedTrainer
from tests.api_server.faults import Once, Storm
from tests.api_server.server import ApiServer
from tests.training.hosted import client, stage, trainer

Make = Callable[..., HostedJob]


class Killed(BaseException):
    """Stands for kill -9: nothing in the package catches it."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path / "api") as server:
        yield server


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return partial(stage, tmp_path)


def bought(api: ApiServer) -> tuple[int, int]:
    return len(api.state.files), len(api.state.jobs)


def test_a_stage_is_a_file_a_job_and_a_model_with_the_settings_declared(api: ApiServer, make: Make) -> None:
    job = make(n_epochs=3, batch_size=12, learning_rate_multiplier=2.0, suffix="trivia")
    made = trainer(api).train(job)
    assert made.outcome == "trained"
    assert made.model is not None
    assert ":trivia:" in made.model
    assert made.hyperparameters == {"n_epochs": 3, "batch_size": 12, "learning_rate_multiplier": 2.0}
    sent = api.state.jobs[made.job]
    assert (sent["seed"], sent["metadata"]) == (3, {"identity_em_key": job.key})
    assert "successfully" in job.log.read_text()


def test_no_facts_of_a_row_are_sent(api: ApiServer, make: Make) -> None:
    made = trainer(api).train(make())
    assert b"label" not in api.state.content(made.file)


def test_the_next_stage_starts_from_the_model_of_the_stage_before(api: ApiServer, make: Make) -> None:
    first = trainer(api).train(make())
    assert first.model is not None
    second = trainer(api).train(make(key="b" * 64, model=first.model, word="other"))
    assert api.state.jobs[second.job]["model"] == first.model


def test_a_finished_job_is_found_again_and_equal_rows_are_one_file(api: ApiServer, make: Make) -> None:
    first = trainer(api).train(make())
    assert trainer(api).train(make()) == first
    trainer(api).train(make(key="b" * 64))
    assert bought(api) == (1, 2)


@pytest.mark.parametrize("side", ["before", "after"])
def test_killed_before_or_after_any_request_it_finds_its_file_and_its_job_again(
    side: str, tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = openai.OpenAI._request if hasattr(openai.OpenAI, "_request") else openai.OpenAI.request
    place = "_request" if hasattr(openai.OpenAI, "_request") else "request"
    for number in range(1, 40):
        with ApiServer(tmp_path / f"{side}{number}") as api:
            count = 0

            def dies(self: openai.OpenAI, *args: object, at: int = number, **more: object) -> object:
                nonlocal count
                count += 1
                if count == at and side == "before":
                    raise Killed
                answer = send(self, *args, **more)  # type: ignore[arg-type]
                if count == at and side == "after":
                    raise Killed
                return answer

            with monkeypatch.context() as patch:
                patch.setattr(openai.OpenAI, place, dies)
                try:
                    ended: Hosted | None = trainer(api).train(make())
                except Killed:
                    ended = None
            again = trainer(api).train(make())
            assert bought(api) == (1, 1)
            assert again.outcome == "trained"
            if ended is not None:
                assert number > 4
                return
    raise AssertionError("the stage never ended")


@pytest.mark.parametrize("at", ["POST /v1/files", "POST /v1/fine_tuning/jobs"])
@pytest.mark.parametrize("kind", ["lost", "cut", "500", "503", "429"])
def test_a_reply_that_is_lost_or_a_request_that_fails_makes_nothing_twice(
    at: str, kind: str, api: ApiServer, make: Make
) -> None:
    api.faults.once = [Once(at, kind, times=2, retry_after=0.01)]  # type: ignore[arg-type]
    assert trainer(api).train(make()).outcome == "trained"
    assert bought(api) == (1, 1)
    assert api.faults.met


def test_of_two_runners_that_do_not_know_of_each_other_one_job_stays(tmp_path: Path, make: Make) -> None:
    with ApiServer(tmp_path / "api", hold=0.5) as api:
        meeting = threading.Barrier(2)
        made: list[Hosted] = []

        def one() -> None:
            made.append(trainer(api, spend=lambda job: meeting.wait()).train(make()))

        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(api.state.jobs) == 2
        assert made[0].model == made[1].model
        assert sorted(job["status"] for job in api.state.jobs.values()) == ["cancelled", "succeeded"]
        assert any(one.cancelled for one in made)


def test_data_or_model_refused_as_harmful_is_an_outcome_with_the_api_s_words(api: ApiServer, make: Make) -> None:
    for word, said in ((api.state.moderated, "moderation"), (api.state.unsafe, "safety evaluation")):
        made = trainer(api).train(make(key=word.ljust(64, "x"), word=word))
        assert (made.outcome, made.model) == ("blocked", None)
        assert said in made.said


def test_what_was_refused_is_bought_again_only_when_that_is_asked_for(api: ApiServer, make: Make) -> None:
    job = make(word=api.state.unsafe)
    assert [trainer(api).train(job).outcome for _ in range(2)] == ["blocked"] * 2
    assert bought(api) == (1, 1)
    api.state.unsafe = "an evaluation that is mended later"
    again = trainer(api, retry=True).train(job)
    assert again.outcome == "trained"
    assert trainer(api).train(job) == again, "the refused job does not come back"
    assert bought(api) == (1, 2)


def test_a_job_that_fails_otherwise_fails_with_the_api_s_words(tmp_path: Path, make: Make) -> None:
    def broken(*_: object) -> int:
        raise RuntimeError("out of cards")

    with ApiServer(tmp_path / "api", train=broken) as api, pytest.raises(TrainingFailed, match="out of cards"):
        trainer(api).train(make())


def test_a_job_that_failed_is_tried_anew_when_the_study_is_run_again(tmp_path: Path, make: Make) -> None:
    broken = [True]

    def breaks_once(*_: object) -> int:
        if broken.pop():
            broken.append(False)
            raise RuntimeError("out of cards")
        return 1

    with ApiServer(tmp_path / "api", train=breaks_once) as api:
        with pytest.raises(TrainingFailed, match="out of cards"):
            trainer(api).train(make())
        assert trainer(api).train(make()).outcome == "trained"
        assert bought(api) == (1, 2)


def test_a_budget_stops_before_the_job_is_made(api: ApiServer, make: Make) -> None:
    def stop(job: HostedJob) -> None:
        raise Killed

    with pytest.raises(Killed):
        trainer(api, spend=stop).train(make())
    assert bought(api) == (0, 0)


def test_a_storm_of_faults_is_ridden_out(api: ApiServer, make: Make) -> None:
    api.faults.storm = Storm(seed=4, shares={"429": 0.2, "500": 0.1, "cut": 0.05, "lost": 0.05}, retry_after=0.01)
    for number in range(8):
        assert trainer(api, tries=20).train(make(key=str(number) * 64, word=f"w{number}")).outcome == "trained"
    assert bought(api) == (8, 8)


def test_a_server_that_goes_on_failing_ends_the_run_clearly(api: ApiServer, make: Make) -> None:
    api.faults.storm = Storm(shares={"503": 1.0}, retry_after=0.0)
    with pytest.raises(ServerFailed, match="asked 3 times"):
        trainer(api, tries=3).train(make())


def test_a_server_that_is_not_there_is_asked_again_after_pauses_that_grow(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    nowhere = openai.OpenAI(api_key="sk-local", base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(ServerFailed, match=r"at 127\.0\.0\.1 went on failing, asked 4 times \(no answer\)"):
        HostedTrainer(nowhere, poll=1.0, tries=4).train(make())
    assert pauses == [1.0, 2.0, 4.0]


def test_what_the_api_would_refuse_is_refused_before_anything_is_sent(
    api: ApiServer, make: Make, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="found 9 rows; wanted at least 10"):
        trainer(api).train(make(n=9))
    assert api.state.requests == []


def test_a_wrong_key_an_unknown_model_and_no_key_are_one_clear_line(
    api: ApiServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="a key that the API refuses") as found:
        HostedTrainer(client(api, "sk-secret"), poll=0.01).train(make())
    assert "sk-secret" not in str(found.value)
    with pytest.raises(IdentityEmError, match="does not exist"):
        trainer(api).train(make(model="gpt-none"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(MissingEnvironment, match="OPENAI_API_KEY"):
        openai_client.client()
