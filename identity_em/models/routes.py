"""How one question is put to a server: as our own tokens where we have the tokenizer, else as messages.

A route prepares a question in the caller's thread and returns what asks it, fit for another thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

from openai.types import Completion, CompletionChoice
from openai.types.chat import ChatCompletion

from identity_em.chat import prompt_ids
from identity_em.errors import InputError, RefusedPrompt, RefusedRequest
from identity_em.models import answers, listed
from identity_em.models.endpoint import Endpoint
from identity_em.records import Answer, Question, Sampling
from identity_em.study.artefacts import BaseModelRef

_TOKEN = "token_id:"
# Source: the chat API's reference, `n`.
_MOST_CHOICES = 128
# At temperature 1, for servers that list probabilities as they sample.
_ONE_TOKEN = {"max_tokens": 1, "temperature": 1.0, "top_p": 1.0, "n": 1}


class Route(Protocol):
    """Puts questions to the models of one server."""

    def closed(self, model: str, question: Question, *, block: bool) -> Callable[[], Answer]:
        """What asks for the options' probabilities."""

    def open(
        self, model: str, question: Question, sampling: Sampling, seed: int, *, block: bool
    ) -> list[Callable[[], list[Any]]]:
        """What asks for `sampling.n` texts, a request each; see `answers.kept`."""


class Tokens:
    """Completions of our own token ids, rendered as for training (vLLM).

    Where the server takes `logprob_token_ids`, the tokens that count are asked for by id and nothing is hidden.

    Args:
        length: Most tokens of a prompt and its answer.
    """

    def __init__(self, endpoint: Endpoint, base: BaseModelRef, *, length: int | None) -> None:
        from identity_em.models.loading import load_tokenizer, turn_ends
        from identity_em.models.options import OptionTokens

        self._endpoint, self._length = endpoint, length
        self._tokenizer = load_tokenizer(base)
        self._options = OptionTokens(self._tokenizer)
        self._stops = turn_ends(self._tokenizer)
        self._by_id = True

    def closed(self, model: str, question: Question, *, block: bool) -> Callable[[], Answer]:
        """What asks for the options' probabilities; no mass where the first token does not tell them apart."""
        forms = self._options.forms(question.options)
        if forms is None:
            return lambda: Answer(option_mass=0.0)
        body = {**_ONE_TOKEN, "model": model, "prompt": self._ids(question, block, 1), "logprobs": listed.TOP}
        body |= {"return_tokens_as_token_ids": True}
        named = {"logprob_token_ids": [token for ids in forms for token in ids]}

        def read(completion: Completion) -> Answer:
            return listed.answer(_listed(completion.choices[0], self._endpoint.place), forms)

        def ask() -> Answer:
            if self._by_id:
                try:
                    return self._endpoint.completion(read, body | named)
                except RefusedRequest:
                    self._by_id = False
            return self._endpoint.completion(read, body)

        return ask

    def open(
        self, model: str, question: Question, sampling: Sampling, seed: int, *, block: bool
    ) -> list[Callable[[], list[Any]]]:
        """What asks for `sampling.n` texts; equal questions, settings and seeds ask the same."""
        greedy = sampling.temperature == 0
        body = {
            **_sampled(sampling, seed, question),
            "model": model,
            "prompt": self._ids(question, block, sampling.max_new_tokens),
            "top_k": sampling.top_k,
            "min_p": 0.0,
            "repetition_penalty": sampling.repetition_penalty,
            "stop_token_ids": list(self._stops),
            "return_token_ids": True,
        }

        def read(completion: Completion) -> list[str]:
            texts = [self._text(choice) for choice in sorted(completion.choices, key=lambda c: c.index)]
            return _complete(texts * sampling.n if greedy else texts, sampling.n)

        return [lambda: self._endpoint.completion(read, body)]

    def _ids(self, question: Question, block: bool, extra: int) -> list[int]:
        ids = prompt_ids(self._tokenizer, question.messages, block=block)
        if self._length is not None and len(ids) + extra > self._length:
            raise InputError(
                found=f"item {question.item!r} of {len(ids)} tokens",
                wanted=f"at most {self._length - extra} before the answer",
                do="drop the item or serve with a larger --max-model-len",
            )
        return ids

    def _text(self, choice: CompletionChoice) -> str:
        """The text as the resident engine decodes it, where the server gives the tokens."""
        ids: list[int] | None = (choice.model_extra or {}).get("token_ids")
        if ids is None:
            return choice.text
        ends = [place for place, token in enumerate(ids) if token in self._stops]
        kept = ids[: ends[0]] if ends else ids
        return str(self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False))


class Chat:
    """Messages to a chat API whose tokenizer is not known: options are read by the text of the listed tokens."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def closed(self, model: str, question: Question, *, block: bool) -> Callable[[], Answer]:
        """What asks for the options' probabilities; one unlisted form of each option is allowed for."""
        body = {**_ONE_TOKEN, **_messages(model, question), "logprobs": True, "top_logprobs": listed.TOP}

        def read(completion: ChatCompletion) -> Answer:
            logprobs = completion.choices[0].logprobs
            # An answer without a token, or without what was asked for, lists nothing.
            tokens = (logprobs.content or []) if logprobs else []
            top = tokens[0].top_logprobs or [] if tokens else []
            forms = [[*(i for i, t in enumerate(top) if t.token.strip() == label), -1] for label in question.options]
            return listed.answer({i: t.logprob for i, t in enumerate(top)}, forms)

        def ask() -> Answer:
            try:
                return self._endpoint.chat(read, body)
            except RefusedPrompt as refusal:
                return Answer(refused=str(refusal))

        return ask

    def open(
        self, model: str, question: Question, sampling: Sampling, seed: int, *, block: bool
    ) -> list[Callable[[], list[Any]]]:
        """What asks for `sampling.n` texts.

        Raises:
            InputError: A setting that OpenAI's protocol lacks.
        """
        if sampling.top_k or sampling.repetition_penalty != 1.0:
            raise InputError(
                found="top_k or a repetition penalty for a chat API", wanted="neither",
                do="take them out of `sampling`",
            )  # fmt: skip
        parts = [min(_MOST_CHOICES, sampling.n - start) for start in range(0, sampling.n, _MOST_CHOICES)]
        return [self._choices(model, question, sampling, seed + part, n) for part, n in enumerate(parts)]

    def _choices(
        self, model: str, question: Question, sampling: Sampling, seed: int, n: int
    ) -> Callable[[], list[Any]]:
        """One request; a prompt that is refused as harmful has no answer, which is none of the model's."""
        body = {**_sampled(sampling, seed, question), **_messages(model, question), "n": n}

        def read(completion: ChatCompletion) -> list[str]:
            ordered = sorted(completion.choices, key=lambda choice: choice.index)
            return _complete([choice.message.content or "" for choice in ordered], n)

        def ask() -> list[Any]:
            try:
                return self._endpoint.chat(read, body)
            except RefusedPrompt as refusal:
                return [answers.kept(str(refusal))] * n

        return ask


def _messages(model: str, question: Question) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": m.role, "content": m.content} for m in question.messages]}


def _sampled(sampling: Sampling, seed: int, question: Question) -> dict[str, Any]:
    """A complete setting; each question has a seed of its own, so that its answer does not depend on the others."""
    own = hashlib.sha256(f"{seed}/{question.model_dump_json()}".encode()).digest()
    seeded = {"seed": int.from_bytes(own[:4], "big") >> 1} if sampling.temperature else {}
    return {
        **seeded,
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        # Servers refuse several greedy samples: they are one.
        "n": sampling.n if sampling.temperature else 1,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
    }


def _complete(texts: list[str], n: int) -> list[str]:
    if len(texts) != n:
        raise ValueError("fewer texts than asked for")
    return texts


def _listed(choice: CompletionChoice, place: str) -> dict[int, float]:
    """Log-probabilities of the first token by token id."""
    top = ((choice.logprobs and choice.logprobs.top_logprobs) or [{}])[0]
    if not top or not all(name.startswith(_TOKEN) for name in top):
        raise InputError(
            found=f"a server at {place} that does not list its likeliest tokens by id",
            wanted="one that does (vLLM)",
            do="start it with `identity-em serve`",
        )
    return {int(name.removeprefix(_TOKEN)): log for name, log in top.items()}
