"""Option probabilities from a server's list of tokens: exact where all that count are listed, else intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp

from identity_em.records import Answer

# As many as servers list (OpenAI's most, vLLM's default).
TOP = 20


def answer(listed: Mapping[int, float], forms: Sequence[Sequence[int]]) -> Answer:
    """The options' probabilities; what an unlisted form may hold is `hidden`.

    An unlisted token has at most the probability of the 20th, and all unlisted ones together what is left.

    Args:
        listed: Log-probability by token, of the 20 likeliest or of those asked for.
        forms: For each option the tokens that say it.
    """
    known = {token: exp(min(0.0, log)) for token, log in listed.items()}
    low = tuple(sum(known.get(token, 0.0) for token in ids) for ids in forms)
    mass = min(1.0, sum(low))
    missing = [sum(token not in known for token in ids) for ids in forms]
    if not any(missing):
        return Answer(probabilities=low, option_mass=mass)
    rest = max(0.0, 1.0 - sum(known.values()))
    each = sorted(known.values(), reverse=True)[TOP - 1] if len(known) >= TOP else rest
    return Answer(probabilities=low, hidden=tuple(min(rest, n * each) for n in missing), option_mass=mass)
