"""Requests to the OpenAI API that are asked again where that may help, and that make nothing twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeVar

import openai
from filelock import FileLock
from openai import OpenAI
from openai.types import FileObject

from identity_em.errors import ServerFailed
from identity_em.training.openai_client import passing, told, wait

T = TypeVar("T")


class Patience:
    """An account asked with patience.

    Args:
        client: Of the openai package, without retries of its own.
        unit: Seconds that the first pause after an error takes, where the API does not say.
        tries: How often a request is made before the run ends.
        locks: A folder that all processes share which may want one file at once; None where there are none.
    """

    def __init__(self, client: OpenAI, *, unit: float = 10.0, tries: int = 8, locks: Path | None = None) -> None:
        self.client, self.unit, self.tries, self._locks = client, unit, tries, locks

    def ask(self, ask: Callable[[], T]) -> T:
        """Ask something that can be asked any number of times.

        Raises:
            InputError: The API refuses it.
            ServerFailed: It went on failing.
        """
        try:
            return self.once(ask, lambda: None)
        except openai.OpenAIError as error:
            raise told(error) from None

    def once(self, make: Callable[[], T], there: Callable[[], T | None]) -> T:
        """Make something that must not be there twice: after a reply that was lost it is looked for first.

        Raises:
            OpenAIError: The API refuses it.
            ServerFailed: It went on failing.
        """
        asked = 0
        while True:
            try:
                return make()
            except openai.OpenAIError as error:
                if not passing(error):
                    raise
                asked += 1
                self._pause(error, asked)
            found = there()
            if found is not None:
                return found

    def _pause(self, error: openai.OpenAIError, asked: int) -> None:
        """Wait before it is asked again.

        Raises:
            ServerFailed: That was the last time.
        """
        if asked >= self.tries:
            place, code = self.client.base_url.host, getattr(error, "status_code", None)
            said = "no answer" if code is None else f"{code}"
            raise ServerFailed(f"the API at {place} went on failing, asked {asked} times ({said})") from None
        time.sleep(wait(error, asked - 1, self.unit))

    def file(self, data: bytes, purpose: Literal["fine-tune", "batch"] = "fine-tune") -> FileObject:
        """The uploaded file with these bytes, known by a name that holds their digest."""
        name = f"identity-em-{sha256(data).hexdigest()[:32]}.jsonl"

        def there() -> FileObject | None:
            listed = self.ask(lambda: list(self.client.files.list(purpose=purpose)))
            same = [file for file in listed if file.filename == name and file.bytes == len(data)]
            return min(same, key=lambda file: (file.created_at, file.id), default=None)

        with self._alone(name):
            return there() or self.once(lambda: self.client.files.create(file=(name, data), purpose=purpose), there)

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Nobody else uploads the file meanwhile."""
        if self._locks is None:
            yield
            return
        self._locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self._locks / f"{name}.lock"):
            yield
