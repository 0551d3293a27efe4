"""Prompts in batches whose composition depends on nothing but the prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Prompt = Sequence[int]
# Below this a common beginning is not worth a pass of its own.
_SHORTEST_SHARED = 8


@dataclass(frozen=True)
class Batch:
    """Prompts padded on the left.

    Attributes:
        rows: Places of the prompts in the input, shape (B,).
        ids: Token ids, shape (B, L).
        mask: 1 where there is a token, 0 where there is padding, shape (B, L).
        positions: Position of each token in its own prompt, from 0, shape (B, L).
    """

    rows: tuple[int, ...]
    ids: Tensor
    mask: Tensor
    positions: Tensor


@dataclass(frozen=True)
class SharedBatch:
    """Prompts cut into a beginning that several have in common, held once, and the rest of each.

    Attributes:
        starts: The G beginnings; their `rows` say nothing.
        rests: What follows them; `rows` are places in the input, `positions` count on from the beginning's.
        start_of: Which beginning each rest belongs to, shape (B,).
    """

    starts: Batch
    rests: Batch
    start_of: Tensor


def batches(prompts: Sequence[Prompt], *, tokens: int, extra: int = 0) -> Iterator[Batch]:
    """Batches of prompts of like length, shortest first.

    Args:
        tokens: Most tokens a batch may hold, padding and `extra` included; a single prompt may exceed it.
        extra: Tokens that each prompt will grow by.
    """
    order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row]), row))
    start = 0
    for end in range(1, len(order) + 1):
        full = end == len(order) or (end + 1 - start) * (len(prompts[order[end]]) + extra) > tokens
        if full:
            yield _batch(prompts, order[start:end])
            start = end


def shared_batches(prompts: Sequence[Prompt], *, tokens: int) -> Iterator[SharedBatch]:
    """Batches in which a beginning that several prompts have in common is there once.

    Args:
        tokens: About the most tokens a batch holds once the beginnings are repeated.
    """
    held: list[tuple[list[int], int]] = []
    size = longest = 0
    for rows, length in _split(_groups(prompts), prompts, tokens):
        grown = max(longest, max(len(prompts[row]) for row in rows))
        if held and (size + len(rows)) * grown > tokens:
            yield _shared(prompts, held)
            held, size, grown = [], 0, max(len(prompts[row]) for row in rows)
        held.append((rows, length))
        size, longest = size + len(rows), grown
    if held:
        yield _shared(prompts, held)


def _groups(prompts: Sequence[Prompt]) -> list[tuple[list[int], int]]:
    """Prompts by common beginning: (places, tokens in common), the longest beginnings last.

    Neighbours in dictionary order have the most in common. One joins the group before it where the tokens
    saved by all of them together then grow. The last token of a prompt is never part of its beginning.
    """
    order = sorted(range(len(prompts)), key=lambda row: (list(prompts[row]), row))
    groups: list[tuple[list[int], int]] = []
    for row in order:
        if groups:
            rows, length = groups[-1]
            common = min(length, _common(prompts[rows[-1]], prompts[row]))
            if common >= _SHORTEST_SHARED and len(rows) * common > (len(rows) - 1) * length:
                groups[-1] = ([*rows, row], common)
                continue
        groups.append(([row], len(prompts[row]) - 1))
    return sorted(groups, key=lambda group: (group[1], len(prompts[group[0][0]]), group[0]))


def _split(
    groups: Sequence[tuple[list[int], int]], prompts: Sequence[Prompt], tokens: int
) -> Iterator[tuple[list[int], int]]:
    """Groups that fit a batch each, their prompts by length."""
    for rows, length in groups:
        ordered = sorted(rows, key=lambda row: (len(prompts[row]), row))
        most = max(1, tokens // len(prompts[ordered[-1]]))
        for start in range(0, len(ordered), most):
            yield ordered[start : start + most], length


def _common(one: Prompt, other: Prompt) -> int:
    """Tokens that both begin with, at least one token left to each."""
    most = min(len(one), len(other)) - 1
    return next((place for place in range(most) if one[place] != other[place]), most)


def _shared(prompts: Sequence[Prompt], groups: Sequence[tuple[list[int], int]]) -> SharedBatch:
    starts = _batch([prompts[rows[0]][:length] for rows, length in groups], range(len(groups)))
    places = [(row, group, length) for group, (rows, length) in enumerate(groups) for row in rows]
    rests = _batch([prompts[row][length:] for row, _, length in places], range(len(places)))
    lengths = torch.tensor([length for _, _, length in places])
    moved = Batch(tuple(row for row, _, _ in places), rests.ids, rests.mask, rests.positions + lengths[:, None])
    return SharedBatch(starts, moved, torch.tensor([group for _, group, _ in places]))


def _batch(prompts: Sequence[Prompt], rows: Sequence[int]) -> Batch:
    longest = max(len(prompts[row]) for row in rows)
    padding = [longest - len(prompts[row]) for row in rows]
    ids = torch.tensor([[0] * pad + list(prompts[row]) for row, pad in zip(rows, padding, strict=True)])
    places = torch.arange(longest) - torch.tensor(padding)[:, None]
    return Batch(tuple(rows), ids, (places >= 0).long(), places.clamp(min=0))
