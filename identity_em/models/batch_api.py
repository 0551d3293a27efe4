"""The Batch API: what would be asked one by one is collected, sent as a file, and its answers read from another.

A batch carries its artefact's key in its metadata and its id is kept in the journal, so that a process that was killed
finds it again. What a batch leaves unanswered is asked for directly.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from openai.types import Batch
from openai.types.chat import ChatCompletion

from identity_em.errors import ServerFailed
from identity_em.models.hosted import HostedEndpoint, Meter
from identity_em.models.journal import Journal
from identity_em.training.openai_patience import Patience

T = TypeVar("T")
KEY: Final = "identity_em_key"
_KEPT: Final = "batches"
_ENDED: Final = ("completed", "expired", "cancelled", "failed")
_ROUTE: Final = "/v1/chat/completions"
# Source: the Batch API's guide: at most 50,000 requests a batch.
_MOST: Final = 50_000


class _Collected(Exception):
    """A request was written down instead of sent."""


class BatchEndpoint(HostedEndpoint):
    """The API's chat where answers come from batches."""

    def __init__(self, url: str, *, key: str, patience: Patience) -> None:
        super().__init__(url, key=key, tries=patience.tries)
        self._patience = patience
        self._answers: dict[str, dict[str, Any]] = {}
        self._collecting: dict[str, dict[str, Any]] | None = None
        self._key, self._journal = "", Journal()

    def begin(self, key: str, meter: Meter, journal: Journal) -> None:
        """Work for this artefact from now on; batches that were made for it before are picked up."""
        self._key, self.meter, self._journal = key, meter, journal
        self._answers = {}
        listed = self._patience.ask(lambda: list(self._patience.client.batches.list(limit=100)))
        named = [batch.id for batch in listed if (batch.metadata or {}).get(KEY) == key]
        for batch in dict.fromkeys([*(journal.get(_KEPT) or ()), *named]):
            self._collect(batch)

    def fetch(self, asks: Sequence[Callable[[], Any]]) -> None:
        """Have the answers that these will ask for.

        Raises:
            BudgetReached: A batch of them could pass the budget.
            ServerFailed: The API does not take the batch.
        """
        self._collecting = {}
        try:
            for ask in asks:
                try:
                    ask()
                except _Collected:
                    continue
        finally:
            wanted, self._collecting = self._collecting, None
        missing = [(name, body) for name, body in wanted.items() if name not in self._answers]
        for start in range(0, len(missing), _MOST):
            self._buy(dict(missing[start : start + _MOST]))

    def chat(self, read: Callable[[ChatCompletion], T], body: dict[str, Any]) -> T:
        """As `HostedEndpoint.chat`, from a batch where one has the answer."""
        name = _name(body)
        if self._collecting is not None:
            self._collecting[name] = body
            raise _Collected
        if name in self._answers:
            return read(ChatCompletion.model_validate(self._answers[name]))
        return super().chat(read, body)

    def _buy(self, bodies: dict[str, dict[str, Any]]) -> None:
        lines = [{"custom_id": name, "method": "POST", "url": _ROUTE, "body": body} for name, body in bodies.items()]
        data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        assert self.meter is not None
        taken = self.meter.before(bodies.values())
        client, ask = self._patience.client, self._patience
        digest = hashlib.sha256(data).hexdigest()
        named = {KEY: self._key, "identity_em_rows": digest}

        def there() -> Batch | None:
            found = ask.ask(lambda: list(client.batches.list(limit=100)))
            return next((batch for batch in found if batch.metadata == named), None)

        try:
            file = ask.file(data, "batch")
            batch = ask.once(
                lambda: client.batches.create(
                    input_file_id=file.id, endpoint=_ROUTE, completion_window="24h", metadata=named
                ),
                there,
            )
        except BaseException:
            self.meter.back(taken)
            raise
        self._journal.put(_KEPT, [*(self._journal.get(_KEPT) or ()), batch.id])
        self._collect(batch.id, taken)

    def _collect(self, name: str, taken: float = 0.0) -> None:
        """Wait for a batch and keep its answers.

        Raises:
            ServerFailed: It failed as a whole.
        """
        client, ask, pause = self._patience.client, self._patience.ask, 0.1
        while (batch := ask(lambda: client.batches.retrieve(name))).status not in _ENDED:
            time.sleep(pause)
            pause = min(2 * pause, self._patience.unit)
        if batch.status == "failed":
            errors = "; ".join(str(e.message) for e in (batch.errors.data if batch.errors else None) or ())
            raise ServerFailed(f"batch {name} failed: {errors or 'the API gives no reason'}")
        output = batch.output_file_id
        text = ask(lambda: client.files.content(output).text) if output else ""
        found = {}
        for line in text.split("\n"):
            said = json.loads(line) if line else {}
            response = said.get("response") or {}
            if response.get("status_code") == 200:
                found[said["custom_id"]] = response["body"]
        self._answers |= found
        assert self.meter is not None
        self.meter.after(taken, self.meter.read(name, map(ChatCompletion.model_validate, found.values())))


def _name(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:48]
