"""Passes through a causal model, with every argument given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from identity_em.models.batches import SharedBatch

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel


@dataclass(frozen=True)
class Begun:
    """Prompts that were read, ready to go on.

    Attributes:
        logits: fp32, of the token after each prompt, shape (B, V).
        cache: Their keys and values.
        mask: 1 for a token in the cache, 0 for padding, shape (B, C).
        at: Position of each prompt's last token, shape (B, 1).
    """

    logits: Tensor
    cache: DynamicCache
    mask: Tensor
    at: Tensor


def step(model: PreTrainedModel, ids: Tensor, mask: Tensor, at: Tensor, cache: DynamicCache) -> Tensor:
    """fp32 logits of the token after the last, shape (B, V); the cache grows by what was read.

    Args:
        ids: New tokens, shape (B, L).
        mask: 1 for a token, 0 for padding, those in the cache included, shape (B, C + L).
        at: Positions of the new tokens, shape (B, L).
    """
    out = model(
        input_ids=ids, attention_mask=mask, position_ids=at, past_key_values=cache, use_cache=True, logits_to_keep=1
    )
    logits: Tensor = out.logits[:, -1].float()
    return logits


def begin(model: PreTrainedModel, batch: SharedBatch) -> Begun:
    """Read the prompts of the batch; shared beginnings are read once."""
    from transformers import DynamicCache

    device, cache = model.device, DynamicCache(config=model.config)
    starts, rests, owner = batch.starts, batch.rests, batch.start_of
    if starts.ids.shape[1]:
        step(model, starts.ids.to(device), starts.mask.to(device), starts.positions.to(device), cache)
        cache.batch_select_indices(owner)  # on the CPU, for the layers of a base may be on several GPUs
    mask, at = torch.cat([starts.mask[owner], rests.mask], dim=1).to(device), rests.positions.to(device)
    return Begun(step(model, rests.ids.to(device), mask, at, cache), cache, mask, at[:, -1:])
