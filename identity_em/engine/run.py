"""The matrix's loop: hand out what is ready, parents first, until everything is made or cannot be."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from identity_em.engine import outcomes
from identity_em.engine.local import Done
from identity_em.engine.ready import Ready
from identity_em.errors import DamagedArtefact
from identity_em.store import Store
from identity_em.study.artefacts import Artefact, Checkpoint, Dataset

_BUSY_PAUSE = 0.25


class Engine(Protocol):
    """Where work runs: the one seam between the loop and processes, hosts or clusters."""

    @property
    def idle(self) -> list[str | None]:
        """For each idle worker, the key of the checkpoint it has at hand."""

    def submit(self, artefact: Artefact, near: str | None = None) -> None:
        """Hand an artefact to an idle worker."""

    def wait(self, timeout: float) -> list[Done]:
        """What ended within `timeout` seconds."""

    def close(self) -> None:
        """Stop every worker."""


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        refused: What an API blocked as harmful; it is there, and what needs it is `blocked`.
        running: Keys with start times (monotonic seconds).
        places: How many fit at once.
    """

    wanted: Sequence[Artefact]
    made: dict[str, float] = field(default_factory=dict)
    reused: set[str] = field(default_factory=set)
    failed: dict[str, Done] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    remade: list[str] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)
    places: int = 1

    @property
    def done(self) -> int:
        """Artefacts that are there."""
        return len(self.made) + len(self.reused)

    def has(self, artefact: Artefact) -> bool:
        """Whether the artefact is there."""
        return artefact.key in self.made or artefact.key in self.reused

    def seconds_left(self) -> float | None:
        """Mean seconds of each kind so far times what is left of it; None before there is anything to go by."""
        spent: Counter[str] = Counter()
        count: Counter[str] = Counter()
        for artefact in self.wanted:
            if artefact.key in self.made:
                spent[group(artefact)] += self.made[artefact.key]  # type: ignore[assignment]  # seconds
                count[group(artefact)] += 1
        left = [a for a in self.wanted if not self.has(a) and a.key not in self.failed and a.key not in self.blocked]
        if not count:
            return None
        overall = sum(spent.values()) / sum(count.values())
        return sum(spent[group(a)] / count[group(a)] if count[group(a)] else overall for a in left) / self.places


def group(artefact: Artefact) -> str:
    """Artefacts that take about as long as each other."""
    match artefact:
        case Checkpoint():
            return f"training {artefact.dataset.recipe if artefact.dataset else ''}"
        case Dataset():
            return "dataset"
        case _:
            prompts = getattr(artefact, "prompts", None)
            return f"{artefact.kind} {prompts.name if prompts else ''}"


def run(
    wanted: Sequence[Artefact],
    store: Store,
    start: Callable[[int], Engine],
    *,
    tell: Callable[[Progress], None],
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Make every artefact that is not there.

    Args:
        wanted: Parents before children.
        start: Makes the engine once it is known how many artefacts are left.
        tell: Called whenever something changed, and a few times a second.
        stop: Asked as often; once it says yes nothing more is begun, and what is being made is finished.

    Returns:
        What was made, reused, failed, and blocked by a parent that failed or was refused.
    """
    progress = Progress(wanted)
    for artefact in _sound(wanted, store, progress):
        progress.reused.add(artefact.key)
    progress.refused = {a.key for a in wanted if progress.has(a) and outcomes.blocked(store, a)}
    left = [a for a in wanted if not progress.has(a)]
    todo, children = {a.key: a for a in left}, _children(left)
    for key in progress.refused:
        _block(key, children, todo, progress)
    left = list(todo.values())
    tell(progress)
    if not left:
        return progress
    engine = start(len(left))
    try:
        _loop(left, engine, progress, tell, stop)
    finally:
        engine.close()
    return progress


def _sound(wanted: Iterable[Artefact], store: Store, progress: Progress) -> list[Artefact]:
    """What the store holds whole; damaged folders are set aside, so that they are made again."""
    sound: list[Artefact] = []
    for artefact in wanted:
        if not store.holds(artefact):
            continue
        try:
            store.open(artefact)
            sound.append(artefact)
        except DamagedArtefact as damage:
            store.set_aside(artefact)
            progress.remade.append(str(damage))
    return sound


def _loop(
    left: list[Artefact],
    engine: Engine,
    progress: Progress,
    tell: Callable[[Progress], None],
    stop: Callable[[], bool],
) -> None:
    waiting = {a.key: {p.key for p in a.needs if not progress.has(p)} for a in left}
    children = _children(left)
    todo = {a.key: a for a in left}
    ready = Ready(left)
    for key in [key for key, parents in waiting.items() if not parents]:
        ready.add(key)
    while todo and (progress.running or not stop()):
        if not stop():
            _hand_out(ready, engine, todo, progress)
        for done in engine.wait(_BUSY_PAUSE):
            key = done.artefact.key
            progress.running.pop(key, None)
            match done.outcome:
                case "busy":
                    ready.add(key, after=time.monotonic() + _BUSY_PAUSE)
                case "failed":
                    progress.failed[key] = done
                    _block(key, children, todo, progress)
                case "blocked":
                    progress.made[key] = done.seconds
                    progress.refused.add(key)
                    _block(key, children, todo, progress)
                case outcome:
                    todo.pop(key)
                    progress.made.update({key: done.seconds}) if outcome == "made" else progress.reused.add(key)
                    for child in children.get(key, ()):
                        waiting[child].discard(key)
                        if not waiting[child] and child in todo:
                            ready.add(child)
        tell(progress)


def _hand_out(ready: Ready, engine: Engine, todo: dict[str, Artefact], progress: Progress) -> None:
    """Give every idle worker what is ready."""
    idle, now = engine.idle, time.monotonic()
    progress.places = max(1, len(idle) + len(progress.running))
    for near in idle:
        pick = ready.take(near, now)
        if pick is None:
            break
        progress.running[pick] = now
        engine.submit(todo[pick], near)


def _children(wanted: Iterable[Artefact]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for artefact in wanted:
        for parent in artefact.needs:
            found.setdefault(parent.key, []).append(artefact.key)
    return found


def _block(failed: str, children: dict[str, list[str]], todo: dict[str, Artefact], progress: Progress) -> None:
    """Give up everything that needs a failed artefact, or one that an API refused."""
    todo.pop(failed, None)
    stack = list(children.get(failed, ()))
    while stack:
        key = stack.pop()
        if todo.pop(key, None) is not None:
            progress.blocked[key] = failed
            stack += children.get(key, ())
