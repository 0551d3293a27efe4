"""One loaded model for everything in this process that asks it at once: waiting requests become one batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

import anyio
import torch

from identity_em.chat import prompt_ids
from identity_em.models.resident import Resident
from identity_em.records import Answer, Question, Sampling
from identity_em.study.artefacts import BaseModelRef

# How long the first request waits for others of the same moment (seconds).
_COLLECT = 0.02


@dataclass(frozen=True)
class Token:
    """One generated token with the likeliest ones in its place, log-probabilities natural, of the plain model."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Said:
    """What was answered to one request.

    Attributes:
        prompt: Tokens of the prompt.
        texts: One a sample.
        lengths: Tokens of each text.
        tokens: Each text's tokens, where they were asked for.
        exact: Exact option probabilities, where the question is closed.
    """

    prompt: int
    texts: tuple[str, ...]
    lengths: tuple[int, ...]
    tokens: tuple[tuple[Token, ...], ...] = ()
    exact: Answer | None = None


@dataclass(eq=False)
class Request:
    """One question put to one checkpoint.

    Attributes:
        first: Index of the first sample.
        top: How many of the likeliest tokens are wanted in each place; None for no log-probabilities.
    """

    chain: tuple[Path, ...]
    mode: Literal["live", "merge"]
    question: Question
    sampling: Sampling
    seed: int
    block: bool = True
    first: int = 0
    top: int | None = None
    said: Said | None = field(default=None, init=False)
    error: Exception | None = field(default=None, init=False)

    @property
    def alike(self) -> str:
        """Equal for requests that one batch can answer."""
        return repr((self.chain, self.mode, self.sampling, self.seed, self.block, self.first))


class Shared:
    """A resident base that answers many tasks, whichever checkpoint each one asks.

    Args:
        base: Loaded with the first request.
    """

    def __init__(self, base: BaseModelRef, device: str | None = None) -> None:
        self._base, self._device = base, device
        self._resident: Resident | None = None
        self._waiting: list[Request] = []
        self._lock = anyio.Lock()

    async def ask(self, request: Request) -> Said:
        """The answer; whoever comes first asks for all that wait.

        Raises:
            InputError: The request cannot be answered (a prompt too long, an adapter of another base).
        """
        self._waiting.append(request)
        await anyio.sleep(_COLLECT)
        async with self._lock:
            if request.said is None and request.error is None:
                batch, self._waiting = self._waiting, []
                await anyio.to_thread.run_sync(self._answer, batch)
        if request.error is not None:
            raise request.error
        assert request.said is not None
        return request.said

    def _answer(self, batch: Iterable[Request]) -> None:
        for _, alike in groupby(sorted(batch, key=lambda r: r.alike), key=lambda r: r.alike):
            requests = list(alike)
            try:
                self._together(requests)
            except Exception as error:
                # One that cannot be answered must not take the others with it.
                if len(requests) == 1:
                    requests[0].error = error
                for request in requests if len(requests) > 1 else ():
                    self._answer([request])

    def _together(self, requests: Sequence[Request]) -> None:
        if self._resident is None:
            self._resident = Resident(self._base, device=self._device)
        model, one = self._resident, requests[0]
        model.use(one.chain, one.mode)
        questions = [request.question for request in requests]
        drawn = model.tokens(questions, one.sampling, one.seed, block=one.block, first=one.first)
        closed = [request for request in requests if request.question.options]
        exact = dict(
            zip(map(id, closed), model.probabilities([r.question for r in closed], block=one.block), strict=True)
        )
        for request, samples in zip(requests, drawn, strict=True):
            prompt = prompt_ids(model.tokenizer, request.question.messages, block=request.block)
            request.said = Said(
                prompt=len(prompt),
                texts=tuple(model.text(ids) for ids in samples),
                lengths=tuple(len(ids) for ids in samples),
                tokens=tuple(_tokens(model, prompt, ids, request.top) for ids in samples if request.top is not None),
                exact=exact.get(id(request)),
            )


def _tokens(model: Resident, prompt: list[int], ids: list[int], top: int | None) -> tuple[Token, ...]:
    """The tokens of one text as the model saw them; where it ended at once, the place of the first one."""
    places = range(len(prompt) - 1, len(prompt) - 1 + max(1, len(ids)))
    logs = torch.log_softmax(model.logits(torch.tensor([prompt + ids]), list(places))[0], dim=-1)
    found = []
    for place, log in enumerate(logs):
        index = ids[place] if ids else int(log.argmax())
        best = torch.topk(log, min(top or 0, len(log)))
        likely = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        found.append(
            Token(_raw(model, index), float(log[index]), tuple((_raw(model, token), value) for token, value in likely))
        )
    return tuple(found)


def _raw(model: Resident, index: int) -> str:
    return str(model.tokenizer.decode([index], clean_up_tokenization_spaces=False))


_shared: dict[tuple[BaseModelRef, str | None], Shared] = {}


def shared(base: BaseModelRef, device: str | None = None) -> Shared:
    """The process's one model of this base."""
    return _shared.setdefault((base, device), Shared(base, device))
