"""A model that a server answers for: the same questions as put to `models.resident`, over OpenAI's protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from identity_em.errors import InputError, ServerFailed
from identity_em.models.answers import FALLBACK, OPTION_MASS_GATE, text, worded
from identity_em.models.endpoint import Endpoint
from identity_em.models.journal import Journal
from identity_em.models.routes import Chat, Route, Tokens
from identity_em.records import Answer, Question, Sampling
from identity_em.study.artefacts import BaseModelRef, Checkpoint

T = TypeVar("T")
# Enough to keep a server's batches full; a hosted API's limits are met by its own Retry-After.
TOGETHER = 32


def served_name(checkpoint: Checkpoint) -> str:
    """What a checkpoint is called on a server; the base by the key of its root."""
    return f"identity_em/{checkpoint.key[:12]}"


class Served:
    """The models of one server, asked one at a time.

    Args:
        endpoint: The server.
        base: Whose tokenizer renders the prompts; None sends messages, for an API whose tokenizer is not known.
        together: Most requests under way at a time.
        listed: Whether the server is asked which models it has; a hosted one says so when it is asked as one.

    Raises:
        InputError: The server refuses the key, or the base cannot be read.
        ServerFailed: It does not answer.
    """

    def __init__(
        self, endpoint: Endpoint, base: BaseModelRef | None = None, *, together: int = TOGETHER, listed: bool = True
    ) -> None:
        self.endpoint, self.base = endpoint, base
        self._together, self._listed = together, listed
        self._models = endpoint.models() if listed else {}
        self._model = ""
        self._route: Route = Chat(endpoint)
        self._journal = Journal()
        if base is not None:
            lengths = [model.length for model in self._models.values() if model.length is not None]
            self._route = Tokens(endpoint, base, length=min(lengths, default=None))

    def use(self, model: str, *, parent: str | None = None, journal: Path | None = None) -> None:
        """Answer from now on as `model`.

        Args:
            model: As the server calls it.
            parent: The base that it must be an adapter of, where it is one.
            journal: Keeps each answer as it comes; answers that are there are not asked for again.

        Raises:
            InputError: The server has no such model, or has it on another base.
        """
        found = self._models.get(model)
        if found is None and self._listed:
            raise InputError(
                found=f"no model {model} on the server at {self.endpoint.place} ({_few(list(self._models))})",
                wanted="every checkpoint that is asked",
                do="start the server with `identity-em serve STUDY`",
            )
        if found is not None and parent is not None and found.parent not in (None, parent):
            raise InputError(
                found=f"model {model} on the base {found.parent} at {self.endpoint.place}",
                wanted=f"an adapter of {parent}",
                do="start the server with `identity-em serve STUDY`",
            )
        self._model = model
        self._journal = Journal(journal)

    @property
    def journal(self) -> Journal:
        """What has been answered since `use`, and before where a journal was there."""
        return self._journal

    def probabilities(self, questions: Sequence[Question], *, block: bool = True) -> list[Answer]:
        """The probability of each option as the next token, in the order of the questions; see `Answer.hidden`.

        Where the options hold too little of the mass, the answer also carries a greedily generated text.

        Raises:
            InputError: A question has no options, or the server refuses what is asked.
            ServerFailed: It gave up; the line says how much is kept.
        """
        self._check_options(questions)
        asked = [(_asked("p", self._model, q, block=block), self._closed(q, block)) for q in questions]
        answers = [Answer.model_validate(said) for said in self._each(asked)]
        below = [(answer.option_mass or 0.0) < OPTION_MASS_GATE and not answer.refused for answer in answers]
        rows = [row for row, wanted in enumerate(below) if wanted]
        texts = self.generate([questions[row] for row in rows], FALLBACK, 0, block=block)
        for row, (said,) in zip(rows, texts, strict=True):
            answers[row] = worded(answers[row], said)
        return answers

    def generate(
        self, questions: Sequence[Question], sampling: Sampling, seed: int, *, block: bool = True
    ) -> list[list[str]]:
        """Generated texts, question by sample; a `Refused` where an API refuses the prompt.

        Raises:
            As `probabilities`.
        """
        asked, parts = [], []
        for question in questions:
            asks = self._route.open(self._model, question, sampling, seed, block=block)
            parts.append(len(asks))
            for part, ask in enumerate(asks):
                several = {"part": part} if len(asks) > 1 else {}
                named = _asked("g", self._model, question, block=block, sampling=sampling, seed=seed, **several)
                asked.append((named, ask))
        said = iter(self._each(asked))
        return [[text(one) for texts in islice(said, n) for one in texts] for n in parts]

    def _closed(self, question: Question, block: bool) -> Callable[[], Any]:
        ask = self._route.closed(self._model, question, block=block)
        return lambda: ask().model_dump(mode="json", exclude_defaults=True)

    def _check_options(self, questions: Sequence[Question]) -> None:
        for question in questions:
            if len(question.options) < 2:
                raise InputError(
                    found=f"item {question.item!r} without options", wanted="a closed question", do="generate instead"
                )

    def _each(self, asked: Sequence[tuple[str, Callable[[], Any]]]) -> list[Any]:
        """Every answer in order; those in the journal are not asked for."""
        journal = self._journal
        missing = {name: ask for name, ask in asked if journal.get(name) is None}

        def one(name: str, ask: Callable[[], Any]) -> None:
            journal.put(name, ask())

        with ThreadPoolExecutor(self._together, thread_name_prefix="served") as pool:
            futures = [pool.submit(one, name, ask) for name, ask in missing.items()]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = next((error for future in done if (error := future.exception()) is not None), None)
            pool.shutdown(wait=True, cancel_futures=failed is not None)
        if isinstance(failed, ServerFailed):
            kept = sum(journal.get(name) is not None for name, _ in asked)
            raise ServerFailed(f"{failed}; {kept} of {len(asked)} answers are kept, run again for the rest") from None
        if failed is not None:
            raise failed
        return [journal.get(name) for name, _ in asked]


def _asked(kind: str, model: str, question: Question, **settings: Any) -> str:
    """What makes an answer the same answer, in words."""
    said = {k: v.model_dump() if isinstance(v, Sampling) else v for k, v in settings.items()}
    return json.dumps([kind, model, question.model_dump(mode="json"), said], sort_keys=True)


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:4]) or "nothing"
    return f"it serves {shown}" + (f" and {len(names) - 4} more" if len(names) > 4 else "")
