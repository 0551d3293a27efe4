"""Pairs in which length says nothing about the author."""

import hashlib
from collections.abc import Mapping, Sequence


def balanced(ids: Sequence[str], own: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """The articles left when each one whose own summary is d words longer has a partner d words shorter.

    Ties are left out (a rule that must choose gets nothing from them), so that no rule on the two summaries' lengths
    in words can beat chance on what is left. Which of too many articles stay depends on their ids alone, hence is the
    same in every recipe and for every order of articles.

    Returns:
        Ids in the order given; none where all pairs lean one way.
    """
    leaning: dict[int, list[str]] = {}
    for name in ids:
        leaning.setdefault(len(own[name].split()) - len(other[name].split()), []).append(name)
    kept: set[str] = set()
    for difference in sorted(d for d in leaning if d > 0 and -d in leaning):
        longer, shorter = (sorted(leaning[d], key=_lot) for d in (difference, -difference))
        n = min(len(longer), len(shorter))
        kept |= {*longer[:n], *shorter[:n]}
    return tuple(name for name in ids if name in kept)


def _lot(name: str) -> bytes:
    return hashlib.sha256(f"length-balanced/{name}".encode()).digest()
