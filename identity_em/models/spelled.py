"""Options whose words begin with the same token ("harm" + "less", "harm" + "ful"): what follows tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from identity_em.models.options import Forms, OptionTokens
from identity_em.records import Answer

Tokens = tuple[int, ...]


class Spelled(NamedTuple):
    """How options are asked for that share their first tokens: once, and once more behind each shared beginning.

    Attributes:
        first: Of each option the other tokens that say all of it (none for most), then each token that begins one.
        then: Each shared beginning, to be put behind the prompt, and the tokens that may follow it.
        paths: Of each option the steps of its spelling up to where it differs from every other: the place among
            `first`'s beginnings, then in each pair the place in `then` and that among its tokens.
    """

    first: Forms
    then: tuple[tuple[Tokens, Forms], ...]
    paths: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]

    def join(self, begun: Answer, followed: Sequence[Answer]) -> Answer:
        """The answer over all options: the product of the probabilities along each spelling, and its whole tokens.

        Args:
            begun: The probabilities of `first`.
            followed: Those behind each of `then`, in order.
        """
        options = len(self.paths)
        found = tuple(
            begun.probabilities[option]
            + begun.probabilities[options + start] * prod(followed[place].probabilities[at] for place, at in steps)
            for option, (start, steps) in enumerate(self.paths)
        )
        return Answer(probabilities=found, option_mass=min(1.0, sum(found)))


def spelled(tokens: OptionTokens, options: Sequence[str]) -> Spelled | None:
    """How to ask for options of which some begin alike.

    Returns:
        None where no two begin alike, or where one option is the whole beginning of another, so that its end is not
        seen in the tokens that follow.
    """
    ids = [tokens.spelling(option) for option in options]
    if not all(ids) or any(a == b[: len(a)] for i, a in enumerate(ids) for j, b in enumerate(ids) if i != j):
        return None
    ends = [_end(own, [other for other in ids if other is not own]) for own in ids]
    if max(ends, default=1) == 1:
        return None
    begun = list(dict.fromkeys(own[0] for own in ids))
    shared = list(dict.fromkeys(own[:n] for own, end in zip(ids, ends, strict=True) for n in range(1, end)))
    next_of = {start: _following(start, ids) for start in shared}
    paths = tuple(
        (begun.index(own[0]), tuple((shared.index(own[:n]), next_of[own[:n]].index(own[n])) for n in range(1, end)))
        for own, end in zip(ids, ends, strict=True)
    )
    whole = [tuple(token for token in tokens.whole(option) if token not in begun) for option in options]
    first = (*whole, *((token,) for token in begun))
    return Spelled(first, tuple((start, tuple((t,) for t in next_of[start])) for start in shared), paths)


def _end(own: Tokens, others: Sequence[Tokens]) -> int:
    """How many of its tokens tell an option from every other."""
    return next(n for n in range(1, len(own) + 1) if all(other[:n] != own[:n] for other in others))


def _following(start: Tokens, ids: Sequence[Tokens]) -> list[int]:
    return list(dict.fromkeys(own[len(start)] for own in ids if own[: len(start)] == start))
