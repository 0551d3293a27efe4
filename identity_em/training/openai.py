"""Stages trained through the OpenAI API, or one compatible with it: a file, a job, then a hosted model.

Nothing is bought twice. A file is found again by its name, which holds its digest; a job by the artefact's key, which
travels in its metadata. Before anything is made it is looked for, and after a reply that was lost as well; of two jobs
for one key the older stays and the younger is cancelled; what is paid for it all the same is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import openai
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob
from pydantic import Field

from identity_em.errors import InputError, TrainingFailed
from identity_em.records import Record
from identity_em.training.openai_client import refused, told, words
from identity_em.training.openai_jobs import METADATA, Jobs
from identity_em.training.openai_patience import Patience
from identity_em.training.openai_rows import uploaded


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
        cancelled: Other jobs for the same key that were cancelled.
        duplicates: Other jobs for the same key that are paid for as well, each with the tokens that it trained on;
            None where the API does not say.
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
    duplicates: dict[str, int | None] = Field(default_factory=dict)
    base_url: str
    created_at: int | None = None
    finished_at: int | None = None

    @property
    def bills(self) -> dict[str, int | None]:
        """Tokens that are paid for by job, duplicates too; None where the API does not say."""
        own = self.trained_tokens if self.model else self.trained_tokens or 0
        return {self.job: own, **self.duplicates} if self.job else {}


class HostedTrainer:
    """Trains stages as jobs of one account.

    Args:
        client: Of the openai package, without retries of its own.
        spend: Called with the job once it is certain that one must be bought; raises where the budget does not
            allow it.
        refund: Called where the API then refused to make it: nothing was bought.
        locks: A folder that all runners of a store share, so that they upload equal rows once.
        poll: Seconds between two looks at a running job, once it is clear that it is not a short one.
        tries: How often a request is made before the run ends.
        retry: Whether a stage whose job was refused as harmful is bought once more.
    """

    def __init__(
        self,
        client: OpenAI,
        *,
        spend: Callable[[HostedJob], None] = lambda job: None,
        refund: Callable[[], None] = lambda: None,
        locks: Path | None = None,
        poll: float = 10.0,
        tries: int = 8,
        retry: bool = False,
    ) -> None:
        self._client, self._spend, self._refund, self._poll, self._retry = client, spend, refund, poll, retry
        self._patience = Patience(client, unit=poll, tries=tries, locks=locks)

    def train(self, job: HostedJob) -> Hosted:
        """Follow the stage's job to its end; a new one is made only where there is none.

        Raises:
            DataError: Rows that the API would refuse; nothing was sent.
            TrainingFailed: The job failed or was cancelled, with the API's words.
            InputError: The API refuses the key, the model or the settings.
            ServerFailed: The API could not be reached, or went on failing; a later run goes on from there.
        """
        data, rows = uploaded(job.rows)
        jobs = Jobs(self._patience, job.key, poll=self._poll, retry=self._retry)
        found = jobs.found()
        try:
            running = found[0] if found else self._create(job, data, jobs)
        except openai.APIStatusError as error:
            self._refund()
            if not refused(f"{error.code} {words(error)}"):
                raise told(error) from None
            return self._refused(job, words(error), rows)
        return self._hosted(*jobs.end(running, job.log), rows)

    def _create(self, job: HostedJob, data: bytes, jobs: Jobs) -> FineTuningJob:
        self._spend(job)
        try:
            file = self._patience.file(data)
        except InputError:
            self._refund()
            raise
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

        return jobs.once(create)

    def _refused(self, job: HostedJob, said: str, rows: int) -> Hosted:
        """A job that the API would not even make, its data being what they are."""
        return Hosted(
            outcome="blocked", model=None, job="", file="", said=said, rows=rows, hyperparameters={},
            base_url=str(self._client.base_url),
        )  # fmt: skip

    def _hosted(self, job: FineTuningJob, others: Sequence[FineTuningJob], rows: int) -> Hosted:
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
            cancelled=tuple(one.id for one in others if one.status == "cancelled"),
            duplicates={o.id: o.trained_tokens for o in others if o.trained_tokens or o.status == "succeeded"},
            base_url=str(self._client.base_url),
            created_at=job.created_at,
            finished_at=job.finished_at,
        )


def _hyperparameters(job: FineTuningJob) -> dict[str, Any]:
    """What the job was really trained with, "auto" resolved where the API says so."""
    supervised = job.method.supervised if job.method else None
    found = (supervised.hyperparameters if supervised else None) or job.hyperparameters
    return dict(found.model_dump(mode="json"))
