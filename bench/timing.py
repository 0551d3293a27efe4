"""CPU seconds of several ways of doing the same, in turn, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from identity_em.records import Question

Ask = Callable[[list[Question]], object]


def per_item(ways: dict[str, Ask], questions: Sequence[Question], *, warm_up: int, rounds: int) -> dict[str, float]:
    """CPU milliseconds an item: the median over rounds, in each of which every way is timed once.

    What a call costs whatever its size is taken off: a call with the first `warm_up` items alone is subtracted.
    """
    few, every = list(questions[:warm_up]), list(questions)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for ask in ways.values():
        ask(few)
    for _ in range(rounds):
        for name, ask in ways.items():
            fixed = cpu(lambda ask=ask: ask(few))  # type: ignore[misc]
            whole = cpu(lambda ask=ask: ask(every))  # type: ignore[misc]
            spent[name].append(1000 * (whole - fixed) / (len(every) - warm_up))
    return {name: statistics.median(found) for name, found in spent.items()}


def cpu(ask: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    ask()
    return time.process_time() - start
