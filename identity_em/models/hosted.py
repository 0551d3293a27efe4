"""Models of the OpenAI API, or of a compatible one: asked by name, paid for, one by one or in batches."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import openai
from openai.types.chat import ChatCompletion

from identity_em.errors import Blocked, IdentityEmError, InputError, RefusedPrompt
from identity_em.models.endpoint import TRIES, Endpoint, lasting
from identity_em.models.served import TOGETHER, Served
from identity_em.training.openai_address import KEY
from identity_em.training.openai_client import refused, words

T = TypeVar("T")
# A model refuses to be asked; a single prompt is refused with 400.
_MODEL_REFUSED = (403, 404, 410)


class Meter(Protocol):
    """Who pays (`engine.till.Till`)."""

    def before(self, bodies: Iterable[Mapping[str, Any]], share: float = 1.0) -> float:
        """Set apart what requests may cost, at this share of the listed price."""

    def hold(self, name: str, taken: float) -> None:
        """Keep that so much is set apart for what is bought and not read yet."""

    def after(self, taken: float, bought: Any) -> None:
        """Keep what was bought."""

    def back(self, taken: float) -> None:
        """Put back what was set apart for nothing."""

    def read(self, name: str, model: str, completions: Iterable[ChatCompletion], share: float = 1.0) -> Any:
        """What answers of a model cost."""


class HostedEndpoint(Endpoint):
    """The API's chat, each answer paid for at `meter`."""

    def __init__(self, url: str, *, key: str, tries: int = TRIES) -> None:
        super().__init__(url, key=key, tries=tries, variable=KEY, account=True)
        self.meter: Meter | None = None

    def chat(self, read: Callable[[ChatCompletion], T], body: dict[str, Any]) -> T:
        """As `Endpoint.chat`, paid for.

        Raises:
            Blocked: The API refuses the model as harmful.
            RefusedPrompt: It refuses what is asked as harmful.
        """
        meter = self.meter
        if meter is None:
            return super().chat(read, body)
        taken, paid = meter.before([body]), False

        def metered(completion: ChatCompletion) -> T:
            nonlocal paid
            # Paid for first: an answer that is lost after this was bought all the same.
            # Under a name of its own, since some servers give all their answers one id.
            name = f"{completion.id}-{uuid.uuid4().hex[:12]}"
            meter.after(taken, meter.read(name, body["model"], [completion]))
            paid = True
            return read(completion)

        try:
            return super().chat(metered, body)
        finally:
            if not paid:
                meter.back(taken)

    def _told(self, error: openai.OpenAIError) -> IdentityEmError:
        if isinstance(error, openai.APIStatusError) and lasting(error.status_code):
            said = words(error)
            if refused(f"{error.code} {said}"):
                return Blocked(said) if error.status_code in _MODEL_REFUSED else RefusedPrompt(said)
            if error.status_code == 400 and ("logprobs" in said or "nsupported" in said):
                return InputError(
                    found=f"a model that does not take what is asked of it ({said})",
                    wanted="one that gives log-probabilities and can be sampled (a reasoning model does neither)",
                    do="choose another base",
                )
        return super()._told(error)


class Hosted(Served):
    """The API's models.

    Args:
        batch: Answers in batches; None asks one by one.
    """

    def __init__(self, endpoint: HostedEndpoint, *, batch: Batch | None = None, together: int = TOGETHER) -> None:
        super().__init__(endpoint, together=together, listed=False)
        self._batch = batch

    def ask(self, model: str, *, meter: Meter, key: str, journal: Path | None = None) -> None:
        """Answer from now on as `model`, for the artefact with this key."""
        self.use(model, journal=journal)
        assert isinstance(self.endpoint, HostedEndpoint)
        self.endpoint.meter = meter
        if self._batch is not None:
            self._batch.begin(model, key, meter, self.journal)

    def _each(self, asked: Sequence[tuple[str, Callable[[], Any]]]) -> list[Any]:
        if self._batch is not None:
            self._batch.fetch([ask for name, ask in asked if self.journal.get(name) is None])
        return super()._each(asked)


class Batch(Protocol):
    """Answers fetched together before they are asked for one by one (`models.batch_api.BatchEndpoint`)."""

    def begin(self, model: str, key: str, meter: Meter, journal: Any) -> None:
        """Work for this artefact, answered by this model, from now on."""

    def fetch(self, asks: Sequence[Callable[[], Any]]) -> None:
        """Have the answers that these will ask for."""
