"""What a store knows of the studies that are run in it: what each wants, who runs it now, what could not be made.

Layout::

    STORE/studies/NAME/DIGEST.json   every key that one version of the study wants (what `identity-em gc` protects)
    STORE/studies/NAME/failed.json   what the last run could not make, and why
    STORE/runs/NAME.ID.lock          a runner, with its heartbeat
    STORE/runs/NAME.ID.cancel        asks that runner to stop
    STORE/locks/gc.lock              `identity-em gc --delete` is at work; runs wait with their first step
"""

import hashlib
import json
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from identity_em import places, store_state
from identity_em.engine.run import Progress
from identity_em.errors import DamagedArtefact, InputError

_FAILED = "failed.json"
_GC, _PAUSE = "locks/gc.lock", 0.25
_Record = TypeVar("_Record", bound=BaseModel)


class _Wanted(BaseModel):
    keys: tuple[str, ...]


class _Failed(BaseModel):
    failed: dict[str, str] = {}
    blocked: dict[str, str] = {}


class Ledger:
    """The records of one study in a store.

    Args:
        root: The store's folder.
        study: The study's name.
    """

    def __init__(self, root: Path, study: str) -> None:
        self._place, self._study, self._root = places.at(root), study, root
        self._marked = store_state.check(root)
        self._folder, self._run = f"studies/{study}", f"runs/{study}.{uuid.uuid4().hex[:12]}"
        self._told: tuple[int, int] = (0, 0)
        self._stopped, self._looked = False, -float("inf")

    @contextmanager
    def running(self, wanted: Iterable[str]) -> Iterator[None]:
        """Record what the study wants, and that this process runs it, until the block ends.

        Args:
            wanted: Keys of all its artefacts.
        """
        keys = sorted(set(wanted))
        digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
        self._write(f"{digest}.json", {"study": self._study, "at": round(time.time(), 3), "keys": keys})
        lock = self._place.lock(f"{self._run}.lock")
        lock.acquire()
        try:
            with lock:
                # Each raises its flag before it looks for the other's, so never both go on.
                while self._place.lock(_GC).held():
                    time.sleep(max(_PAUSE, self._place.pause))
                yield
        finally:
            self._place.remove(f"{self._run}.cancel")

    def cancelled(self) -> bool:
        """Whether somebody asked this runner to stop."""
        if time.monotonic() - self._looked < self._place.pause:
            return self._stopped
        self._stopped, self._looked = self._place.exists(f"{self._run}.cancel"), time.monotonic()
        return self._stopped

    def note(self, progress: Progress) -> None:
        """Keep what failed or is blocked, when that is news; later, where the store is gone for now."""
        now = (len(progress.failed), len(progress.blocked))
        if now != self._told and (store_state.check(self._root) or not self._marked):
            self._told = now
            failed = {key: done.error for key, done in progress.failed.items()}
            self._write(_FAILED, {"failed": failed, "blocked": progress.blocked})

    def settle(self, progress: Progress) -> None:
        """The run is over: what an earlier one could not make, and this one could, is no failure any more."""
        self._told = (-1, -1)
        self.note(progress)

    def failures(self) -> tuple[dict[str, str], dict[str, str]]:
        """What the last run could not make, by key: failed with its reason, blocked with the key it waits for."""
        record = _read(self._place, f"{self._folder}/{_FAILED}", _Failed)
        return record.failed, record.blocked

    def runners(self) -> list[dict[str, Any]]:
        """Host, pid and since when, of each runner that is at the study now."""
        return [self._place.lock(name).owner() for name in self._running()]

    def cancel(self) -> int:
        """Ask every runner of the study to stop after what it is making; how many there are."""
        found = self._running()
        for name in found:
            self._place.write(f"{name.removesuffix('.lock')}.cancel", "")
        return len(found)

    def _running(self) -> list[str]:
        """Names of the locks of runners that are at the study now."""
        begins, dots = f"{self._study}.", self._study.count(".") + 2
        found = [n for n in self._place.names("runs") if n.startswith(begins) and n.endswith(".lock")]
        named = [f"runs/{name}" for name in found if name.count(".") == dots]
        return [name for name in named if self._place.lock(name).held()]

    def _write(self, name: str, body: dict[str, Any]) -> None:
        self._place.write(f"{self._folder}/{name}", json.dumps(body, sort_keys=True))


def wanted(root: Path, *, but: Iterable[str] = ()) -> dict[str, set[str]]:
    """Every recorded study's keys, all its versions together.

    Args:
        but: Studies to leave out.
    """
    place, found = places.at(root), dict[str, set[str]]()
    for study in set(place.names("studies")) - set(but):
        for name in place.names(f"studies/{study}"):
            if name.endswith(".json") and name != _FAILED:
                found.setdefault(study, set()).update(_read(place, f"studies/{study}/{name}", _Wanted).keys)
    return found


@contextmanager
def collecting(root: Path) -> Iterator[None]:
    """Nothing is made in the store until the block ends.

    Raises:
        InputError: A run is in progress, or another gc.
    """
    place = places.at(root)
    flag = place.lock(_GC)
    if not flag.acquire():
        raise _at_work(root, "another gc")
    with flag:
        runs = [f"runs/{name}" for name in place.names("runs") if name.endswith(".lock")]
        if any(place.lock(name).held() for name in runs):
            raise _at_work(root, "a run")
        yield


def _at_work(root: Path, who: str) -> InputError:
    return InputError(
        found=f"{who} in progress", wanted="a store at rest", do="wait for it, or `identity-em cancel`",
        file=places.named(root),
    )  # fmt: skip


def _read(place: places.Place, name: str, record: type[_Record]) -> _Record:
    """A record; an empty one where there is none."""
    try:
        return record.model_validate_json(place.read(name) or "{}")
    except ValueError as error:
        raise DamagedArtefact(
            file=place.where(name), found="a record that cannot be read", wanted="what a run recorded",
            do="remove it, and run its study again",
        ) from error  # fmt: skip
