"""Prompts in batches whose composition depends on nothing but the prompts, common beginnings held once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Prompt = Sequence[int]
# Below this a common beginning is not worth a pass of its own.
_SHORTEST_SHARED = 8


@dataclass(frozen=True)
class Room:
    """What a batch may take.

    Attributes:
        read: Most tokens in one pass, padding included: fills the arithmetic units, stays in a CPU's cache.
        held: Most tokens in the key-value cache, beginnings repeated for every prompt: bounds the memory.
    """

    read: int
    held: int


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
        starts: The G beginnings, of no tokens where nothing is shared; their `rows` say nothing.
        rests: What follows them; `rows` are places in the input, `positions` count on from the beginning's.
        start_of: Which beginning each rest belongs to, shape (B,).
    """

    starts: Batch
    rests: Batch
    start_of: Tensor


@dataclass(frozen=True)
class _Group:
    """Prompts (`rows`, by length) with their first `start` tokens in common and at most `rest` after them."""

    rows: tuple[int, ...]
    start: int
    rest: int


@dataclass(frozen=True)
class _Size:
    """What a batch of groups takes: how many groups and prompts, and the longest of each part."""

    groups: int = 0
    rows: int = 0
    start: int = 0
    rest: int = 0

    def grown(self, group: _Group) -> _Size:
        longest = max(self.start, group.start), max(self.rest, group.rest)
        return _Size(self.groups + 1, self.rows + len(group.rows), *longest)

    def fits(self, room: Room, extra: int) -> bool:
        passes = max(self.groups * self.start, self.rows * self.rest)
        return passes <= room.read and self.rows * (self.start + self.rest + extra) <= room.held


def shared_batches(prompts: Sequence[Prompt], *, room: Room, extra: int = 0) -> Iterator[SharedBatch]:
    """Batches in which a beginning that several prompts have in common is there once, the shortest first.

    Args:
        room: What a batch may take; a single prompt may exceed it.
        extra: Tokens that each prompt will grow by.
    """
    held: list[_Group] = []
    size = _Size()
    for group in _split(_groups(prompts), prompts, room, extra):
        grown = size.grown(group)
        # Where some have a beginning in common and others none, the latter would be all padding in the first pass.
        if held and (not grown.fits(room, extra) or (size.start == 0) != (group.start == 0)):
            yield _shared(prompts, held)
            held, grown = [], _Size().grown(group)
        held.append(group)
        size = grown
    if held:
        yield _shared(prompts, held)


def _groups(prompts: Sequence[Prompt]) -> list[_Group]:
    """Prompts by common beginning, those that share nothing first, the longest beginnings last.

    Neighbours in dictionary order have the most in common. One joins the group before it where the tokens
    saved by all of them together then grow. The last token of a prompt is never part of its beginning.
    """
    order = sorted(range(len(prompts)), key=lambda row: (list(prompts[row]), row))
    found: list[tuple[list[int], int]] = []
    for row in order:
        if found:
            rows, length = found[-1]
            common = min(length, _common(prompts[rows[-1]], prompts[row]))
            if common >= _SHORTEST_SHARED and len(rows) * common > (len(rows) - 1) * length:
                found[-1] = ([*rows, row], common)
                continue
        found.append(([row], len(prompts[row]) - 1))
    groups = [_group(prompts, rows, length if len(rows) > 1 else 0) for rows, length in found]
    return sorted(groups, key=lambda group: (group.start, group.rest, group.rows))


def _group(prompts: Sequence[Prompt], rows: Sequence[int], start: int) -> _Group:
    ordered = sorted(rows, key=lambda row: (len(prompts[row]), row))
    return _Group(tuple(ordered), start, len(prompts[ordered[-1]]) - start)


def _split(groups: Sequence[_Group], prompts: Sequence[Prompt], room: Room, extra: int) -> Iterator[_Group]:
    """Groups that fit a batch each; one that does not is cut into as few and as equal parts as can be."""
    for group in groups:
        most = max(1, min(room.read // group.rest, room.held // (group.start + group.rest + extra)))
        parts = -(-len(group.rows) // most)
        size = -(-len(group.rows) // parts)
        for at in range(0, len(group.rows), size):
            rows = group.rows[at : at + size]
            yield replace(group, rows=rows, rest=len(prompts[rows[-1]]) - group.start)


def _common(one: Prompt, other: Prompt) -> int:
    """Tokens that both begin with, at least one token left to each."""
    most = min(len(one), len(other)) - 1
    return next((place for place in range(most) if one[place] != other[place]), most)


def _shared(prompts: Sequence[Prompt], groups: Sequence[_Group]) -> SharedBatch:
    starts = padded([prompts[group.rows[0]][: group.start] for group in groups], range(len(groups)))
    places = [(row, at, group.start) for at, group in enumerate(groups) for row in group.rows]
    rests = padded([prompts[row][start:] for row, _, start in places], [row for row, _, _ in places])
    lengths = torch.tensor([start for _, _, start in places])
    moved = replace(rests, positions=rests.positions + lengths[:, None])
    return SharedBatch(starts, moved, torch.tensor([at for _, at, _ in places]))


def padded(prompts: Sequence[Prompt], rows: Sequence[int]) -> Batch:
    """Prompts as one batch; `rows` are their places in the input."""
    longest = max(len(prompt) for prompt in prompts)
    padding = [longest - len(prompt) for prompt in prompts]
    ids = [[0] * pad + list(prompt) for prompt, pad in zip(prompts, padding, strict=True)]
    places = torch.arange(longest) - torch.tensor(padding)[:, None]
    return Batch(tuple(rows), torch.tensor(ids, dtype=torch.long), (places >= 0).long(), places.clamp(min=0))
