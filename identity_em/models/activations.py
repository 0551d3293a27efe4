"""Residual activations at chosen layers, at the last token of each prompt, streamed to disk.

Nothing but one batch's vectors is ever held: a hook on each layer keeps the last position alone, and the file on disk
is a memory map. So a thousand prompts at every layer take the memory of one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from identity_em.errors import InputError
from identity_em.models.batches import padded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_Last = dict[int, Tensor]


def layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The model's blocks in order, inside whatever wraps it.

    Raises:
        InputError: None can be found.
    """
    found = [m for name, m in model.named_modules() if name.endswith("layers") and isinstance(m, torch.nn.ModuleList)]
    if not found:
        raise InputError(found=type(model).__name__, wanted="a model with a list of layers", do="use another base")
    return list(found[0])


def collect(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], at: Sequence[int] | None, out: Path, *, tokens: int
) -> Path:
    """Write what each prompt's last token leaves in the residual stream after each layer.

    Args:
        prompts: Token ids, N prompts.
        at: Layers from 0; None for all of them.
        out: The file, `.npy`: float32 of shape (layers, N, hidden), prompts in the order given.
        tokens: About the most tokens in one pass.

    Raises:
        InputError: There is no such layer.
    """
    blocks = layers(model)
    chosen = list(range(len(blocks))) if at is None else list(at)
    if not all(0 <= layer < len(blocks) for layer in chosen):
        raise InputError(found=f"layers {chosen}", wanted=f"layers from 0 to {len(blocks) - 1}", do="choose others")
    shape = (len(chosen), len(prompts), int(model.config.hidden_size))
    kept = np.lib.format.open_memmap(out, mode="w+", dtype=np.float32, shape=shape)
    with _last(blocks, chosen) as last, torch.inference_mode():
        for rows in _batches(prompts, tokens):
            _pass(model, [prompts[row] for row in rows])
            for place, layer in enumerate(chosen):
                kept[place, rows] = last[layer].numpy()
    kept.flush()
    return out


@contextmanager
def _last(blocks: Sequence[torch.nn.Module], chosen: Sequence[int]) -> Iterator[_Last]:
    """What each chosen block gave for the last position, as it runs."""
    seen: _Last = {}
    hooks = [blocks[layer].register_forward_hook(_keeper(seen, layer)) for layer in chosen]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _keeper(seen: _Last, layer: int) -> Callable[[torch.nn.Module, Any, Any], None]:
    def keep(module: torch.nn.Module, given: Any, gave: Any) -> None:
        states = gave[0] if isinstance(gave, tuple) else gave
        seen[layer] = states[:, -1].float().cpu()

    return keep


def _batches(prompts: Sequence[Sequence[int]], tokens: int) -> Iterator[list[int]]:
    """Places of prompts of like length, each batch within `tokens` where it holds more than one."""
    rows: list[int] = []
    for row in sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row)):
        if rows and (len(rows) + 1) * len(prompts[row]) > tokens:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _pass(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> None:
    """One pass over prompts padded on the left, so that the last position is each prompt's last token."""
    batch = padded(prompts, range(len(prompts)))
    model(
        input_ids=batch.ids.to(model.device),
        attention_mask=batch.mask.to(model.device),
        position_ids=batch.positions.to(model.device),
        use_cache=False,
        logits_to_keep=1,
    )
