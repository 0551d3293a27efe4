"""Several runners at one stage, or at equal rows: one job stays, one file is uploaded, and what was paid is told."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from identity_em.errors import IdentityEmError, TrainingFailed
from identity_em.training.openai import Hosted, HostedJob
from identity_em.training.openai_jobs import METADATA
from tests.api_server.faults import Once
from tests.api_server.objects import ApiError
from tests.api_server.server import ApiServer
from tests.training.hosted import client, stage, trainer

CANCEL = "POST /v1/fine_tuning/jobs/ftjob"
FOLLOW = "GET /v1/fine_tuning/jobs/ftjob"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path / "api", hold=0.3) as server:
        yield server


def rival(api: ApiServer, job: HostedJob) -> str:
    """Another runner's job for the same stage."""
    with client(api) as found:
        file = found.files.create(file=("theirs.jsonl", job.rows.read_bytes()), purpose="fine-tune")
        return found.fine_tuning.jobs.create(model=job.model, training_file=file.id, metadata={METADATA: job.key}).id


def ended(api: ApiServer, *names: str) -> None:
    while not all(api.state.jobs[name]["status"] == "succeeded" for name in names):
        time.sleep(0.01)


@pytest.mark.parametrize("kind", ["429", "500", "cut", "lost"])
def test_a_cancel_that_fails_is_asked_for_again(kind: str, api: ApiServer, tmp_path: Path) -> None:
    theirs: list[str] = []
    api.faults.once = [Once(CANCEL, kind, retry_after=0.01)]  # type: ignore[arg-type]
    made = trainer(api, spend=lambda job: theirs.append(rival(api, job))).train(stage(tmp_path))
    assert api.faults.met
    assert made.job == theirs[0]
    (ours,) = made.cancelled
    assert {name: job["status"] for name, job in api.state.jobs.items()} == {made.job: "succeeded", ours: "cancelled"}
    assert made.bills == {made.job: made.trained_tokens}


def test_a_second_job_that_has_ended_is_told_as_paid_for_and_not_as_cancelled(api: ApiServer, tmp_path: Path) -> None:
    job = stage(tmp_path)
    older, younger = rival(api, job), rival(api, job)
    ended(api, older, younger)
    made = trainer(api).train(job)
    told(api, made, job, older, younger)
    assert not [request for request in api.state.requests if request.startswith(CANCEL)]


def test_a_second_job_that_ends_while_its_cancel_is_asked_for_is_paid_for_too(api: ApiServer, tmp_path: Path) -> None:
    job = stage(tmp_path)
    older, younger = rival(api, job), rival(api, job)
    api.watch = lambda side, request: ended(api, younger) if (side, request[:31]) == ("before", CANCEL) else None
    told(api, trainer(api).train(job), job, older, younger)
    assert [request for request in api.state.requests if request.startswith(CANCEL)]


def told(api: ApiServer, made: Hosted, job: HostedJob, older: str, younger: str) -> None:
    tokens = api.state.jobs[younger]["trained_tokens"]
    assert (made.job, made.cancelled, made.duplicates) == (older, (), {younger: tokens})
    assert sum(filter(None, made.bills.values())) == made.trained_tokens + tokens > tokens > 0
    assert f"Another job for this stage, {younger}: succeeded, after {tokens} tokens" in job.log.read_text()


def test_what_is_paid_for_is_unknown_where_the_api_does_not_say_of_one_job(api: ApiServer, tmp_path: Path) -> None:
    made = trainer(api).train(stage(tmp_path))
    assert made.bills == {made.job: made.trained_tokens}
    assert made.model_copy(update={"trained_tokens": None}).bills == {made.job: None}
    assert made.model_copy(update={"duplicates": {"ftjob-x": None}}).bills["ftjob-x"] is None
    before = made.model_dump_json(exclude={"duplicates"})
    assert Hosted.model_validate_json(before) == made, "what was kept before there were duplicates is read"


def test_a_job_that_another_runner_cancels_while_it_is_followed_gives_way_to_the_one_that_stays(
    api: ApiServer, tmp_path: Path
) -> None:
    job, theirs = stage(tmp_path), []

    def meanwhile(side: str, request: str) -> None:
        if side == "before" and request.startswith(FOLLOW) and not theirs:
            theirs.append("")
            api.tuning.cancel(request.split("/")[-1])
            theirs[:] = [rival(api, job)]

    api.watch = meanwhile
    made = trainer(api).train(job)
    assert made.outcome == "trained"
    assert [made.job] == theirs
    assert len(made.cancelled) == 1


def test_a_job_that_was_cancelled_and_that_nobody_replaced_has_failed(api: ApiServer, tmp_path: Path) -> None:
    api.watch = lambda side, request: (
        api.tuning.cancel(request.split("/")[-1])
        if side == "before" and request.startswith(FOLLOW) and not request.endswith("events")
        and all(job["status"] != "cancelled" for job in api.state.jobs.values())
        else None
    )  # fmt: skip
    with pytest.raises(TrainingFailed, match="cancelled: the API gives no reason"):
        trainer(api).train(stage(tmp_path))


def test_workers_that_begin_at_once_with_equal_rows_upload_them_once(tmp_path: Path) -> None:
    def slowly(side: str, request: str) -> None:
        if (side, request) == ("before", "POST /v1/files"):
            time.sleep(0.2)

    job = stage(tmp_path)
    jobs = [job.model_copy(update={"key": str(n) * 64, "log": tmp_path / str(n)}) for n in range(4)]
    with ApiServer(tmp_path / "api") as api:
        api.watch = slowly
        workers = [threading.Thread(target=trainer(api, locks=tmp_path / "locks").train, args=(job,)) for job in jobs]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert (len(api.state.files), len(api.state.jobs)) == (1, 4)


def bought(api: ApiServer, job: HostedJob, *faults: Once) -> list[str]:
    """What the meter is told of a stage whose requests meet faults."""
    said: list[str] = []
    api.faults.once = list(faults)
    with pytest.raises(IdentityEmError):
        trainer(api, tries=2, spend=lambda _: said.append("spend"), refund=lambda: said.append("refund")).train(job)
    return said


@pytest.mark.parametrize("at", ["GET /v1/files", "POST /v1/files", "POST /v1/fine_tuning/jobs"])
def test_what_was_set_apart_for_a_job_that_the_api_refuses_to_make_goes_back(
    at: str, api: ApiServer, tmp_path: Path
) -> None:
    assert bought(api, stage(tmp_path), Once(at, "401")) == ["spend", "refund"]
    assert not api.state.jobs


UNKNOWN = {
    "while it is followed": [Once(FOLLOW, "401")],
    "as it is looked for after a lost reply": [
        Once("POST /v1/fine_tuning/jobs", "lost"), Once("GET /v1/fine_tuning/jobs", "401", nth=2),
    ],
    "by a server that goes on failing": [Once("POST /v1/fine_tuning/jobs", "503", times=2, retry_after=0.01)],
}  # fmt: skip


@pytest.mark.parametrize("case", UNKNOWN)
def test_a_job_that_may_have_been_made_is_not_told_as_refused(case: str, api: ApiServer, tmp_path: Path) -> None:
    assert bought(api, stage(tmp_path), *UNKNOWN[case]) == ["spend"]


def test_a_job_that_is_refused_as_harmful_at_once_is_an_outcome_and_goes_back(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(body: object) -> None:
        raise ApiError(400, "The file violates our usage policies", code="invalid_training_file")

    monkeypatch.setattr(api.tuning, "create", refuses)
    said: list[str] = []
    made = trainer(api, spend=lambda _: said.append("spend"), refund=lambda: said.append("refund")).train(
        stage(tmp_path)
    )
    assert (made.outcome, made.bills, said) == ("blocked", {}, ["spend", "refund"])
