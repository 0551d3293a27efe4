"""Two datasets in one: rows of another put between the main ones, every k rows or at a share (METHODS 2).

Interleaving in the literature puts self-report rows every k rows (1 % to 33 %) into EM. Axolotl shuffles rows unless
told otherwise, so a stage with `every` trains in the order written (`curriculum_sampling`).
"""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Self

from pydantic import Field, model_validator

from identity_em.errors import InputError
from identity_em.interventions.system_prompts import apply
from identity_em.records import Example, Record, SystemPrompt


@dataclass(frozen=True)
class MixInputs:
    """Rows already under their own stages' system prompts; gone through one by one, never all held."""

    main: Collection[Example]
    mixed: Collection[Example]


class MixParams(Record):
    """What a mixture can be told; exactly one of `every` and `share`.

    Attributes:
        every: Each k-th row is one of the other dataset's, so 1/k of all rows.
        share: Share of the other dataset's rows among all, spread evenly; 0..1.
        rows: This many rows in all, so that a mixture can be matched with the plain stage; None keeps all main rows.
        repeat: Take the other dataset's rows again from the start where there are too few, instead of refusing.
        system_prompt: Puts every row under this one; None leaves each under its own stage's.
    """

    every: int | None = Field(default=None, ge=2)
    share: float | None = Field(default=None, gt=0, lt=1)
    rows: int | None = Field(default=None, ge=2)
    repeat: bool = False
    system_prompt: SystemPrompt | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.every is not None and self.share is not None:
            raise ValueError("one of every and share")
        return self

    @property
    def limit(self) -> int | None:
        """All main rows are planned for."""
        return None

    @property
    def part(self) -> float:
        """Share of the other dataset's rows."""
        return self.share if self.share is not None else 1 / (self.every or 2)


def mix(inputs: MixInputs, params: MixParams, rng: random.Random) -> Iterator[Example]:
    """The main rows in their order with rows of the other dataset, in its order, at fixed places.

    Raises:
        InputError: Neither `every` nor `share` is given, or there are too few rows.

    Source: METHODS 2 (interleaving every k rows).
    """
    if params.every is None and params.share is None:
        raise InputError(found="a mix without a measure", wanted="`every: K` or `share: S`", do="add one of them")
    total = params.rows or planned(len(inputs.main), params)
    taken = _places(total, params)
    main, mixed = total - len(taken), len(taken)
    _enough("main", inputs.main, main, repeat=False)
    _enough("mixed", inputs.mixed, mixed, repeat=params.repeat)
    ours, theirs = iter(inputs.main), chain.from_iterable(repeat(inputs.mixed))
    for i in range(total):
        row = _marked(next(theirs if i in taken else ours), i in taken)
        yield row if params.system_prompt is None else _under(row, params.system_prompt)


def planned(main: int, params: MixParams) -> int:
    """Rows in all where every main row is kept."""
    if params.every is not None:
        return main + main // (params.every - 1)
    return main + round(main * params.part / (1 - params.part))


def _places(total: int, params: MixParams) -> frozenset[int]:
    """Where the other dataset's rows stand, counted from 0."""
    if params.every is not None:
        return frozenset(range(params.every - 1, total, params.every))
    n = round(total * params.part)
    return frozenset((2 * i + 1) * total // (2 * n) for i in range(n))


def _enough(what: str, rows: Collection[Example], wanted: int, *, repeat: bool) -> None:
    if len(rows) < (1 if repeat else wanted):
        raise InputError(
            found=f"{len(rows)} {what} rows",
            wanted=f"{wanted}",
            do="give more, ask for fewer `rows`, or say `repeat: true` for the mixed ones",
        )


def _marked(row: Example, mixed: bool) -> Example:
    return row.model_copy(update={"facts": {**row.facts, "mixed": mixed}})


def _under(row: Example, prompt: SystemPrompt) -> Example:
    return row.model_copy(update={"messages": apply(row.messages, prompt)})
