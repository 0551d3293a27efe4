"""The Batch API: what would be asked one by one is collected, sent as a file, and its answers read from another.

A batch carries its artefact's key in its metadata and its id is kept in the journal, so that a process that was killed
finds it again. What a batch leaves unanswered is asked for directly, and so is all of a batch that failed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import openai
from openai.types import Batch
from openai.types.chat import ChatCompletion

from identity_em.errors import ServerFailed
from identity_em.models.endpoint import MALFORMED
from identity_em.models.hosted import HostedEndpoint, Meter
from identity_em.models.journal import Journal
from identity_em.training.openai_client import told
from identity_em.training.openai_patience import Patience

T = TypeVar("T")
KEY: Final = "identity_em_key"
_KEPT: Final = "batches"
_ENDED: Final = ("completed", "expired", "cancelled", "failed")
_ROUTE: Final = "/v1/chat/completions"
# Source: the Batch API's guide: at most 50,000 requests a batch, at half the price; a batch fails with this code where
# those that wait would hold more tokens together than the account may have.
_MOST: Final = 50_000
_SHARE: Final = 0.5
_FULL: Final = "token_limit_exceeded"
_GONE: Final = "gone"
_log = logging.getLogger(__name__)


class _Collected(Exception):
    """A request was written down instead of sent."""


class BatchEndpoint(HostedEndpoint):
    """The API's chat where answers come from batches."""

    def __init__(self, url: str, *, key: str, patience: Patience) -> None:
        super().__init__(url, key=key, tries=patience.tries)
        self._patience = patience
        self._answers: dict[str, ChatCompletion] = {}
        self._collecting: dict[str, dict[str, Any]] | None = None
        self._model, self._key, self._journal = "", "", Journal()
        self._known: set[str] = set()

    def begin(self, model: str, key: str, meter: Meter, journal: Journal) -> None:
        """Work for this artefact, answered by this model, from now on; batches made for it before are picked up.

        Raises:
            InputError: The API refuses to tell of them.
            ServerFailed: It does not answer.
        """
        self._model, self._key, self.meter, self._journal = model, key, meter, journal
        self._answers = {}
        named = [batch.id for batch in self._listed() if (batch.metadata or {}).get(KEY) == key]
        self._known = {*(journal.get(_KEPT) or ()), *named}
        for name in sorted(self._known):
            self._collect(name)  # how it ended was said when it did

    def fetch(self, asks: Sequence[Callable[[], Any]]) -> None:
        """Have the answers that these will ask for.

        Raises:
            BudgetReached: A batch of them could pass the budget.
            InputError: The API does not take the batch.
            ServerFailed: It does not answer.
        """
        self._collecting = {}
        try:
            for ask in asks:
                with suppress(_Collected):
                    ask()
        finally:
            wanted, self._collecting = self._collecting, None
        missing = [(name, body) for name, body in wanted.items() if name not in self._answers]
        for start in range(0, len(missing), _MOST):
            self._buy(dict(missing[start : start + _MOST]))

    def chat(self, read: Callable[[ChatCompletion], T], body: dict[str, Any]) -> T:
        """As `HostedEndpoint.chat`, from a batch where one has an answer that can be read."""
        name = _name(body)
        if self._collecting is not None:
            self._collecting[name] = body
            raise _Collected
        if name in self._answers:
            with suppress(*MALFORMED):
                return read(self._answers[name])
        return super().chat(read, body)

    def _buy(self, bodies: Mapping[str, Mapping[str, Any]]) -> None:
        """Have a batch of these; where the API has too many waiting, again after a pause, a few times.

        Raises:
            As `fetch`.
        """
        name = why = ""
        for attempt in range(self._patience.tries):
            if why == _FULL:
                pause = self._patience.unit * 2 ** (attempt - 1)
                _log.warning("batch %s failed (%s); it is made again in %.0f s", name, why, pause)
                time.sleep(pause)
            name = self._made(bodies)
            why = self._collect(name)
            if why == _GONE:
                raise ServerFailed(f"the API does not know batch {name} that it made, or not its answers; run again")
            if why != _FULL:
                break
        left = sum(name not in self._answers for name in bodies)
        if left:
            said = f"batch {name} ended as {why}, {left} of {len(bodies)} requests unanswered"
            _log.warning("%s; they are made one by one, at the full price", said)

    def _made(self, bodies: Mapping[str, Mapping[str, Any]]) -> str:
        """A batch of these, paid for; its id."""
        lines = [{"custom_id": name, "method": "POST", "url": _ROUTE, "body": body} for name, body in bodies.items()]
        data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        named = {KEY: self._key, "identity_em_rows": hashlib.sha256(data).hexdigest()}
        client = self._patience.client

        def make() -> Batch:
            return client.batches.create(
                input_file_id=file.id, endpoint=_ROUTE, completion_window="24h", metadata=named
            )  # fmt: skip

        def there() -> Batch | None:
            made = (batch for batch in self._listed() if batch.metadata == named)
            return next((batch for batch in made if batch.id not in self._known), None)

        assert self.meter is not None
        taken = self.meter.before(bodies.values(), _SHARE)
        try:
            file = self._patience.file(data, "batch")
            batch = self._patience.once(make, there)
        except BaseException as error:
            self.meter.back(taken)
            if isinstance(error, openai.OpenAIError):
                raise told(error) from None
            raise
        self.meter.hold(batch.id, taken)
        self._journal.put(_KEPT, [*(self._journal.get(_KEPT) or ()), batch.id])
        self._known.add(batch.id)
        return batch.id

    def _collect(self, name: str) -> str:
        """Wait for a batch and keep its answers; how it ended, by its error's code where it failed as a whole.

        Raises:
            ServerFailed: The API did not answer; the batch stays paid for.
        """
        client, pause = self._patience.client, 0.1
        while (batch := self._had(lambda: client.batches.retrieve(name))) and batch.status not in _ENDED:
            time.sleep(pause)
            pause = min(2 * pause, self._patience.unit)
        if batch is None:
            return _GONE
        file = batch.output_file_id
        text = self._had(lambda: client.files.content(file).text) if file else ""
        if text is None:
            # They were paid for all the same: what is kept of that stays.
            return _GONE
        found = _answers(text)
        self._answers |= found
        assert self.meter is not None
        self.meter.after(0.0, self.meter.read(name, self._model, found.values(), _SHARE))
        errors = (batch.errors.data if batch.errors else None) or ()
        return next((error.code for error in errors if error.code), batch.status)

    def _had(self, ask: Callable[[], T]) -> T | None:
        """What the API has; None where it has it no more."""
        try:
            return self._patience.once(ask, lambda: None)
        except openai.NotFoundError:
            return None
        except openai.OpenAIError as error:
            raise told(error) from None

    def _listed(self) -> list[Batch]:
        return self._patience.ask(lambda: list(self._patience.client.batches.list(limit=100)))


def _name(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:48]


def _answers(text: str) -> dict[str, ChatCompletion]:
    """The answers in a batch's output, read as leniently as the client reads a reply; other lines are left out."""
    found = {}
    for line in text.split("\n"):
        with suppress(*MALFORMED):
            said = json.loads(line)
            if said["response"]["status_code"] == 200:
                found[str(said["custom_id"])] = ChatCompletion.construct(**said["response"]["body"])
    return found
