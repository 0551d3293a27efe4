"""What can be made now: taken in order, or by the checkpoint that a worker has at hand."""

import heapq
from collections.abc import Iterable

from identity_em.engine.local import checkpoint_of
from identity_em.study.artefacts import Artefact

_PRIORITY = {"dataset": 0, "checkpoint": 1, "responses": 2, "scores": 3}


class Ready:
    """The artefacts whose parents are there.

    Args:
        wanted: Everything that is to be made; its order is the order among equals.
    """

    def __init__(self, wanted: Iterable[Artefact]) -> None:
        ordered = sorted(wanted, key=lambda artefact: _PRIORITY[artefact.kind])
        self._order = {artefact.key: place for place, artefact in enumerate(ordered)}
        self._about = {artefact.key: checkpoint_of(artefact) for artefact in ordered}
        self._there: set[str] = set()
        self._all: list[tuple[int, str]] = []
        self._near: dict[str | None, list[tuple[int, str]]] = {}
        self._later: list[tuple[float, str]] = []

    def add(self, key: str, *, after: float = 0.0) -> None:
        """It can be made, though not before the time `after`."""
        if after:
            heapq.heappush(self._later, (after, key))
            return
        self._there.add(key)
        entry = (self._order[key], key)
        heapq.heappush(self._all, entry)
        heapq.heappush(self._near.setdefault(self._about[key], []), entry)

    def take(self, near: str | None, now: float) -> str | None:
        """The next artefact for a worker: one about the checkpoint it has at hand, else the first in order."""
        while self._later and self._later[0][0] <= now:
            self.add(heapq.heappop(self._later)[1])
        at_hand = None if near is None else self._first(self._near.get(near, []))
        return at_hand if at_hand is not None else self._first(self._all)

    def _first(self, heap: list[tuple[int, str]]) -> str | None:
        """The first of a heap that has not been taken through the other."""
        while heap:
            _, key = heapq.heappop(heap)
            if key in self._there:
                self._there.discard(key)
                return key
        return None
