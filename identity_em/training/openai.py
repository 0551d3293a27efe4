"""Stages trained through the OpenAI API, or one compatible with it: a file, a job, then a hosted model.

Nothing is bought twice. A file is found again by its name, which holds its digest; a job by the artefact's key, which
travels in its metadata. Before anything is made it is looked for, and after a reply that was lost as well; of two jobs
for one key the older stays and the younger is cancelled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import openai
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from identity_em.errors import TrainingFailed
from identity_em.records import Record
from identity_em.training.openai_client import refused, told, words
from identity_em.training.openai_patience import Patience
from identity_em.training.openai_rows import uploaded

_ENDED: Final = ("succeeded", "failed", "cancelled")
METADATA: Final = "identity_em_key"


class HostedJob(Record):
    """One stage to train.

    Attributes:
        key: The artefact's key, 64 hex digits.
        model: The base's name, or the hosted model of the stage before.
        rows: JSONL; each row has `messages`, anything else in it is not sent.
        settings: `n_epochs`, `batch_size` and `learning_rate_multiplier`, each a number or "auto", and `suffix`.
        log: File that receives the job's events.
    """

    key: str
    model: str
    rows: Path
    settings: dict[str, Any]
    seed: int
    log: Path


class Hosted(Record):
    """What a stage came to.

    Attributes:
        outcome: `blocked` where the API refused data, job or model as harmful.
        model: The hosted model's id; None where none was made.
        said: The API's words where there is no model.
        code: Its code for them.
        cancelled: Younger jobs for the same key that were cancelled.
        base_url: Which server holds the model.
    """

    outcome: Literal["trained", "blocked"]
    model: str | None
    job: str
    file: str
    said: str = ""
    code: str = ""
    rows: int
    trained_tokens: int | None = None
    hyperparameters: dict[str, Any]
    cancelled: tuple[str, ...] = ()
    base_url: str
    created_at: int | None = None
    finished_at: int | None = None


class HostedTrainer:
    """Trains stages as jobs of one account.

    Args:
        client: Of the openai package, without retries of its own.
        spend: Called with the job once it is certain that one must be bought; raises where the budget does not
            allow it.
        poll: Seconds between two looks at a running job, once it is clear that it is not a short one.
        tries: How often a request is made before the run ends.
        retry: Whether a stage whose job was refused as harmful is bought once more.
    """

    def __init__(
        self,
        client: OpenAI,
        *,
        spend: Callable[[HostedJob], None] = lambda job: None,
        poll: float = 10.0,
        tries: int = 8,
        retry: bool = False,
    ) -> None:
        self._client, self._spend, self._poll, self._retry = client, spend, poll, retry
        self._patience = Patience(client, unit=poll, tries=tries)

    def train(self, job: HostedJob) -> Hosted:
        """Follow the stage's job to its end; a new one is made only where there is none.

        Raises:
            DataError: Rows that the API would refuse; nothing was sent.
            TrainingFailed: The job failed or was cancelled, with the API's words.
            InputError: The API refuses the key, the model or the settings.
            ServerFailed: The API could not be reached, or went on failing; a later run goes on from there.
        """
        data, rows = uploaded(job.rows)
        found = self._found(job)
        try:
            running = found[0] if found else self._create(job, data)
        except openai.APIStatusError as error:
            if not refused(f"{error.code} {words(error)}"):
                raise told(error) from None
            return self._refused(job, words(error), rows)
        cancelled = self._cancel(self._found(job)[1:])
        first = self._found(job)[0] if running.status == "cancelled" or cancelled else running
        return self._hosted(self._follow(first, job.log), rows, cancelled)

    def _found(self, job: HostedJob) -> list[FineTuningJob]:
        """The jobs for this key that go on or came to an outcome, oldest first; what failed otherwise may be tried."""

        def look() -> list[FineTuningJob]:
            # Filtered by the server where it can, and here in any case: not every server knows the filter.
            listed = self._client.fine_tuning.jobs.list(limit=100, metadata={METADATA: job.key})
            return [found for found in listed if (found.metadata or {}).get(METADATA) == job.key]

        found = [one for one in self._patience.ask(look) if not _given_up(one)]
        # A job that was refused stands for its stage until another was asked for in its place.
        alive = [one for one in found if one.status != "failed"]
        return sorted(alive if alive or self._retry else found, key=lambda one: (one.created_at, one.id))

    def _create(self, job: HostedJob, data: bytes) -> FineTuningJob:
        self._spend(job)
        file = self._patience.file(data)
        settings = {name: value for name, value in job.settings.items() if name != "suffix"}

        def create() -> FineTuningJob:
            return self._client.fine_tuning.jobs.create(
                model=job.model,
                training_file=file.id,
                method={"type": "supervised", "supervised": {"hyperparameters": settings}},  # type: ignore[arg-type]
                seed=job.seed,
                suffix=str(job.settings.get("suffix") or f"iem-{job.key[:12]}"),
                metadata={METADATA: job.key},
            )

        return self._patience.once(create, lambda: next(iter(self._found(job)), None))

    def _cancel(self, younger: list[FineTuningJob]) -> tuple[str, ...]:
        """Give up jobs that another runner's older one makes superfluous; one that has ended is left."""
        for job in younger:
            with suppress(openai.BadRequestError):
                self._client.fine_tuning.jobs.cancel(job.id)
        return tuple(job.id for job in younger)

    def _follow(self, job: FineTuningJob, log: Path) -> FineTuningJob:
        """Wait for the job's end; its events go to the log, each once."""
        written: set[str] = set()
        name, pause = job.id, min(0.1, self._poll)
        log.parent.mkdir(parents=True, exist_ok=True)
        while True:
            job = self._patience.ask(partial(self._client.fine_tuning.jobs.retrieve, name))
            events = self._patience.ask(partial(self._client.fine_tuning.jobs.list_events, name, limit=100)).data
            with log.open("a", encoding="utf-8") as file:
                for event in reversed([event for event in events if event.id not in written]):
                    file.write(f"{event.created_at} {event.level} {event.message}\n")
                    written.add(event.id)
            if job.status in _ENDED:
                return job
            time.sleep(pause)
            pause = min(2 * pause, self._poll)

    def _refused(self, job: HostedJob, said: str, rows: int) -> Hosted:
        """A job that the API would not even make, its data being what they are."""
        return Hosted(
            outcome="blocked", model=None, job="", file="", said=said, rows=rows, hyperparameters={},
            base_url=str(self._client.base_url),
        )  # fmt: skip

    def _hosted(self, job: FineTuningJob, rows: int, cancelled: tuple[str, ...]) -> Hosted:
        said = job.error.message if job.error and job.error.message else ""
        code = job.error.code if job.error and job.error.code else ""
        if job.status != "succeeded" and not refused(f"{code} {said}"):
            raise TrainingFailed(f"job {job.id} {job.status}: {said or 'the API gives no reason'}")
        return Hosted(
            outcome="trained" if job.status == "succeeded" else "blocked",
            model=job.fine_tuned_model,
            job=job.id,
            file=job.training_file,
            said=said,
            code=code,
            rows=rows,
            trained_tokens=job.trained_tokens,
            hyperparameters=_hyperparameters(job),
            cancelled=cancelled,
            base_url=str(self._client.base_url),
            created_at=job.created_at,
            finished_at=job.finished_at,
        )


def _given_up(job: FineTuningJob) -> bool:
    """Whether a job was cancelled, or failed without being refused as harmful."""
    said = f"{job.error.code} {job.error.message}" if job.error else ""
    return job.status == "cancelled" or (job.status == "failed" and not refused(said))


def _hyperparameters(job: FineTuningJob) -> dict[str, Any]:
    """What the job was really trained with, "auto" resolved where the API says so."""
    supervised = job.method.supervised if job.method else None
    found = (supervised.hyperparameters if supervised else None) or job.hyperparameters
    return dict(found.model_dump(mode="json"))
