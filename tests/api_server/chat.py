"""Chat completions: the checkpoint itself answers, with its log-probabilities."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from identity_em.chat import prompt_ids
from identity_em.models.resident import Resident
from identity_em.records import Message, Question, Sampling
from tests.api_server.objects import REASONING, ApiError, State


class Speaker(Protocol):
    """Whoever answers for a model."""

    def texts(
        self, chain: tuple[Path, ...], messages: list[dict[str, str]], sampling: Sampling, seed: int
    ) -> list[str]:
        """Answers to one conversation."""

    def logprobs(
        self, chain: tuple[Path, ...], messages: list[dict[str, str]], text: str, top: int
    ) -> list[dict[str, Any]]:
        """For each token of `text` (one token at least) its log-probability and the most likely ones."""


class PocketSpeaker:
    """The resident model with a lock around it; asked of many threads, it answers one after another."""

    def __init__(self, resident: Resident) -> None:
        self._resident, self._lock = resident, threading.Lock()

    def texts(
        self, chain: tuple[Path, ...], messages: list[dict[str, str]], sampling: Sampling, seed: int
    ) -> list[str]:
        """Answers to one conversation."""
        question = Question(item="chat", messages=tuple(Message(**m) for m in messages))  # type: ignore[arg-type]
        with self._lock:
            self._resident.use(chain)
            return self._resident.generate([question], sampling, seed)[0]

    def logprobs(
        self, chain: tuple[Path, ...], messages: list[dict[str, str]], text: str, top: int
    ) -> list[dict[str, Any]]:
        """Exact, by reading the whole answer again."""
        tokenizer = self._resident.tokenizer
        prompt = prompt_ids(tokenizer, tuple(Message(**m) for m in messages))  # type: ignore[arg-type]
        said = tokenizer.encode(text, add_special_tokens=False) if text else []
        with self._lock:
            self._resident.use(chain)
            places = range(len(prompt) - 1, len(prompt) + max(len(said), 1) - 1)
            ids = torch.tensor([prompt + said[:-1] if said else prompt])
            logs = torch.log_softmax(self._resident.logits(ids, list(places))[0].double(), dim=-1)
        found = []
        for row, log in enumerate(logs):
            best = torch.topk(log, max(top, 1))
            entries = [self._entry(int(i), float(p)) for p, i in zip(best.values, best.indices, strict=True)]
            token = said[row] if said else int(best.indices[0])
            found.append({**self._entry(token, float(log[token])), "top_logprobs": entries[:top]})
        return found

    def _entry(self, token: int, log: float) -> dict[str, Any]:
        text = self._resident.tokenizer.decode([token], clean_up_tokenization_spaces=False)
        return {"token": text, "logprob": log if math.isfinite(log) else -9999.0, "bytes": list(text.encode())}


def complete(state: State, speaker: Speaker, body: Mapping[str, Any]) -> dict[str, Any]:
    """One chat completion.

    Raises:
        ApiError: An unknown model, one that is refused, or a parameter that the model does not take.
    """
    model = state.model(str(body.get("model")))
    if model.id == REASONING and (body.get("logprobs") or "temperature" in body or "max_tokens" in body):
        raise ApiError(400, f"Unsupported parameter: not supported with {REASONING}.", code="unsupported_parameter")
    if model.refused:
        raise ApiError(403, "This fine-tuned model was blocked for violating our usage policies.",
                       code="model_blocked", kind="policy_violation")  # fmt: skip
    top = int(body.get("top_logprobs") or 0)
    if top > 20:
        raise ApiError(400, "top_logprobs must be at most 20", code="integer_above_max_value")
    length = int(body.get("max_completion_tokens") or body.get("max_tokens") or 64)
    sampling = Sampling(
        temperature=float(body.get("temperature", 1.0)), top_p=float(body.get("top_p", 1.0)),
        max_new_tokens=length, n=int(body.get("n") or 1),
    )  # fmt: skip
    messages = [{"role": m["role"], "content": m["content"]} for m in body["messages"]]
    texts = speaker.texts(model.chain, messages, sampling, int(body.get("seed") or 0))
    choices = [_choice(i, text, model.chain, messages, body, speaker, top) for i, text in enumerate(texts)]
    used = sum(len(m["content"]) for m in messages) // 4, sum(map(len, texts)) // 4
    return {
        "id": state.name("chatcmpl-"), "object": "chat.completion", "created": state.now(), "model": model.id,
        "choices": choices, "system_fingerprint": "fp_local", "service_tier": "default",
        "usage": {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)},
    }  # fmt: skip


def _choice(
    index: int, text: str, chain: tuple[Path, ...], messages: list[dict[str, str]], body: Mapping[str, Any],
    speaker: Speaker, top: int,
) -> dict[str, Any]:  # fmt: skip
    logs = {"content": speaker.logprobs(chain, messages, text, top)} if body.get("logprobs") else None
    message = {"role": "assistant", "content": text, "refusal": None}
    return {"index": index, "message": message, "logprobs": logs, "finish_reason": "stop"}
