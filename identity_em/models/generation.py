"""Sampling from a causal model under a complete setting; nothing of the model's own generation_config is read.

Every answer has uniform numbers of its own, made from the question, the sample's index and the seed, so that equal
questions and seeds give equal texts in any process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from identity_em.models.batches import SharedBatch
from identity_em.models.forward import begin, step
from identity_em.records import Question, Sampling

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def draws(question: Question, *, sample: int, seed: int, steps: int) -> Tensor:
    """The uniform numbers (0..1) that decide one answer's tokens, shape (steps,), float64.

    They are 53 bits each of SHAKE-256, so that no library's generator has a say in them.
    """
    text = f"{seed}/{sample}/{question.model_dump_json()}"
    words = np.frombuffer(hashlib.shake_256(text.encode()).digest(8 * steps), dtype="<u8")
    return torch.from_numpy((words >> np.uint64(11)) * 2.0**-53)


def generate(
    model: PreTrainedModel, batch: SharedBatch, sampling: Sampling, uniform: Tensor, *, stops: Sequence[int]
) -> list[list[int]]:
    """New tokens of `sampling.n` answers to each prompt of `batch`, a prompt's together, without the stop token.

    Args:
        uniform: What decides each token, shape (B * n, max_new_tokens).
        stops: Tokens that end an answer.
    """
    device, n = model.device, sampling.n
    uniform, stop = uniform.to(device), torch.tensor(stops, device=device)
    begun = begin(model, batch)
    begun.cache.batch_repeat_interleave(n)
    logits, mask, at = (part.repeat_interleave(n, dim=0) for part in (begun.logits, begun.mask, begun.at))
    seen = _seen(batch, logits.shape[-1]).to(device).repeat_interleave(n, dim=0)
    done, new = torch.zeros(len(mask), dtype=torch.bool, device=device), []
    for place in range(sampling.max_new_tokens):
        token = choose(logits, seen, sampling, uniform[:, place])
        new.append(token)
        done |= torch.isin(token, stop)
        if place + 1 == sampling.max_new_tokens or bool(done.all()):
            break
        seen.scatter_(1, token[:, None], True)
        mask, at = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1), at + 1
        logits = step(model, token[:, None], mask, at, begun.cache)
    return [_until(row, stops) for row in torch.stack(new, dim=1).tolist()]


def choose(logits: Tensor, seen: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """The next token of each row, shape (B,).

    Args:
        logits: fp32, shape (B, V).
        seen: Tokens that the repetition penalty applies to, shape (B, V).
        uniform: Numbers in 0..1 that pick from the cumulated probabilities, shape (B,), float64.
    """
    if sampling.repetition_penalty != 1.0:
        penalised = torch.where(logits > 0, logits / sampling.repetition_penalty, logits * sampling.repetition_penalty)
        logits = torch.where(seen, penalised, logits)
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    weights = torch.softmax(logits.double() / sampling.temperature, dim=-1)
    weights, order = _nucleus(weights, sampling)
    summed = weights.cumsum(dim=-1)
    place = torch.searchsorted(summed, uniform[:, None] * summed[:, -1:], right=True)
    place = place.clamp(max=weights.shape[-1] - 1)
    return (place if order is None else order.gather(-1, place)).squeeze(-1)


def _nucleus(weights: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
    """The weights cut by top-k and top-p, in descending order, and that order; as they are where nothing is cut."""
    if sampling.top_k == 0 and sampling.top_p == 1.0:
        return weights, None
    ranked, order = weights.sort(dim=-1, descending=True, stable=True)
    if sampling.top_k:
        ranked[:, sampling.top_k :] = 0
    share = ranked / ranked.sum(dim=-1, keepdim=True)
    # A token stays while those before it hold less than top_p; the first always stays.
    return ranked.masked_fill(share.cumsum(dim=-1) - share >= sampling.top_p, 0), order


def _seen(batch: SharedBatch, vocabulary: int) -> Tensor:
    """The tokens of each prompt, shape (B, V)."""
    parts = [(part.ids, part.mask) for part in (batch.starts, batch.rests)]
    ids, mask = (torch.cat([start[batch.start_of], rest], dim=1) for start, rest in zip(*parts, strict=True))
    return torch.zeros(len(ids), vocabulary, dtype=torch.long).scatter_add_(1, ids, mask).bool()


def _until(tokens: list[int], stops: Sequence[int]) -> list[int]:
    ends = [place for place, token in enumerate(tokens) if token in stops]
    return tokens[: ends[0]] if ends else tokens
