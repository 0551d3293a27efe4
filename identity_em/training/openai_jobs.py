"""The jobs that an account has for one key: found, made once, followed to the end; of several, one stays."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import openai
from openai.types.fine_tuning import FineTuningJob

from identity_em.training.openai_client import refused
from identity_em.training.openai_patience import Patience

METADATA: Final = "identity_em_key"
_ENDED: Final = ("succeeded", "failed", "cancelled")


class Jobs:
    """The jobs for one key.

    Args:
        poll: Seconds between two looks at a running job, once it is clear that it is not a short one.
        retry: Whether one that was refused as harmful stands for nothing.
    """

    def __init__(self, patience: Patience, key: str, *, poll: float, retry: bool) -> None:
        self._patience, self._api, self._key = patience, patience.client.fine_tuning.jobs, key
        self._poll, self._retry = poll, retry

    def found(self) -> list[FineTuningJob]:
        """Those that go on or came to an outcome, oldest first; what failed otherwise may be tried again."""

        def look() -> list[FineTuningJob]:
            # Filtered by the server where it can, and here in any case: not every server knows the filter.
            listed = self._api.list(limit=100, metadata={METADATA: self._key})
            return [found for found in listed if (found.metadata or {}).get(METADATA) == self._key]

        found = [one for one in self._patience.ask(look) if not _given_up(one)]
        # A job that was refused stands for its stage until another was asked for in its place.
        alive = [one for one in found if one.status != "failed"]
        return sorted(alive if alive or self._retry else found, key=lambda one: (one.created_at, one.id))

    def once(self, create: Callable[[], FineTuningJob]) -> FineTuningJob:
        """Make a job, or find the one that a lost reply has made.

        Raises:
            OpenAIError: The API refuses it.
        """
        return self._patience.once(create, lambda: next(iter(self.found()), None))

    def end(self, running: FineTuningJob, log: Path) -> tuple[FineTuningJob, list[FineTuningJob]]:
        """The job that stays, followed to its end, and the others, ended too; the log tells of both.

        Each runner cancels all but the oldest. Of two made within a second the one that was looked for alone may come
        to be the younger: what was cancelled by another runner is followed no longer, but what that one left.
        """
        ended = running
        others: dict[str, FineTuningJob] = {}
        followed: set[str] = set()
        while found := [one for one in self.found() if one.id not in followed]:
            first, *younger = found
            others |= {one.id: self._cancel(one) for one in younger}
            ended = others[first.id] = self._follow(first, log)
            followed.add(first.id)
            if ended.status != "cancelled":
                break
        else:
            ended = self._follow(running, log)
        others.pop(ended.id, None)
        return ended, [self._told(one, log) for one in others.values()]

    def _cancel(self, job: FineTuningJob) -> FineTuningJob:
        """Give a job up, as it is then; one that has ended is left."""
        look = partial(self._patience.ask, partial(self._api.retrieve, job.id))

        def ended() -> FineTuningJob | None:
            found = look()
            return found if found.status in _ENDED else None

        if job.status in _ENDED:
            return job
        try:
            return self._patience.once(partial(self._api.cancel, job.id), ended)
        except openai.APIStatusError:  # it has just ended, or may not be cancelled
            return look()

    def _told(self, other: FineTuningJob, log: Path) -> FineTuningJob:
        """Another job at its end, with a line in the log."""
        ended = other if other.status in _ENDED else self._follow(other, log)
        trained = "" if ended.trained_tokens is None else f", after {ended.trained_tokens} tokens"
        at = ended.finished_at or ended.created_at
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{at} warn Another job for this stage, {ended.id}: {ended.status}{trained}\n")
        return ended

    def _follow(self, job: FineTuningJob, log: Path) -> FineTuningJob:
        """Wait for the job's end; its events go to the log, each once."""
        written: set[str] = set()
        name, pause = job.id, min(0.1, self._poll)
        log.parent.mkdir(parents=True, exist_ok=True)
        while True:
            job = self._patience.ask(partial(self._api.retrieve, name))
            events = self._patience.ask(partial(self._api.list_events, name, limit=100)).data
            with log.open("a", encoding="utf-8") as file:
                for event in reversed([event for event in events if event.id not in written]):
                    file.write(f"{event.created_at} {event.level} {event.message}\n")
                    written.add(event.id)
            if job.status in _ENDED:
                return job
            time.sleep(pause)
            pause = min(2 * pause, self._poll)


def _given_up(job: FineTuningJob) -> bool:
    """Whether a job was cancelled, or failed without being refused as harmful."""
    said = f"{job.error.code} {job.error.message}" if job.error else ""
    return job.status == "cancelled" or (job.status == "failed" and not refused(said))
