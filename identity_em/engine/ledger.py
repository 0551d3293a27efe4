"""What a store knows of the studies that are run in it: what each wants, who runs it now, what could not be made.

Layout::

    STORE/studies/NAME/DIGEST.json   every key that one version of the study wants (what `identity-em gc` protects)
    STORE/studies/NAME/failed.json   what the last run could not make, and why
    STORE/runs/NAME.ID.lock          a runner, with its heartbeat
    STORE/runs/NAME.ID.cancel        asks that runner to stop
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from identity_em.engine.run import Progress
from identity_em.errors import DamagedArtefact
from identity_em.locks import Lock

_FAILED = "failed.json"


class Ledger:
    """The records of one study in a store.

    Args:
        root: The store's folder.
        study: The study's name.
    """

    def __init__(self, root: Path, study: str) -> None:
        self._folder, self._runs, self._study = root / "studies" / study, root / "runs", study
        self._cancel = self._runs / f"{study}.{uuid.uuid4().hex[:12]}.cancel"
        self._told: tuple[int, int] = (0, 0)

    @contextmanager
    def running(self, wanted: Iterable[str]) -> Iterator[None]:
        """Record what the study wants, and that this process runs it, until the block ends.

        Args:
            wanted: Keys of all its artefacts.
        """
        keys = sorted(set(wanted))
        digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
        _write(self._folder / f"{digest}.json", {"study": self._study, "at": round(time.time(), 3), "keys": keys})
        lock = Lock(self._cancel.with_suffix(".lock"))
        lock.acquire()
        try:
            with lock:
                yield
        finally:
            self._cancel.unlink(missing_ok=True)

    def cancelled(self) -> bool:
        """Whether somebody asked this runner to stop."""
        return self._cancel.exists()

    def note(self, progress: Progress) -> None:
        """Keep what failed or is blocked, when that is news."""
        now = (len(progress.failed), len(progress.blocked))
        if now != self._told:
            self._told = now
            failed = {key: done.error for key, done in progress.failed.items()}
            _write(self._folder / _FAILED, {"failed": failed, "blocked": progress.blocked})

    def settle(self, progress: Progress) -> None:
        """The run is over: what an earlier one could not make, and this one could, is no failure any more."""
        self._told = (-1, -1)
        self.note(progress)

    def failures(self) -> tuple[dict[str, str], dict[str, str]]:
        """What the last run could not make, by key: failed with its reason, blocked with the key it waits for."""
        body = _read(self._folder / _FAILED)
        return body.get("failed", {}), body.get("blocked", {})

    def runners(self) -> list[Path]:
        """Locks of the runners that are at the study now."""
        found = sorted(self._runs.glob(f"{self._study}.*.lock"))
        return [path for path in found if path.name.count(".") == self._study.count(".") + 2 and Lock(path).held()]

    def cancel(self) -> int:
        """Ask every runner of the study to stop after what it is making; how many there are."""
        found = self.runners()
        for path in found:
            path.with_suffix(".cancel").touch()
        return len(found)


def wanted(root: Path, *, but: Iterable[str] = ()) -> dict[str, set[str]]:
    """Every recorded study's keys, all its versions together.

    Args:
        but: Studies to leave out.
    """
    found: dict[str, set[str]] = {}
    for path in sorted(root.glob("studies/*/*.json")):
        if path.name != _FAILED and path.parent.name not in set(but):
            found.setdefault(path.parent.name, set()).update(_read(path)["keys"])
    return found


def _write(path: Path, body: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(body, sort_keys=True), encoding="utf-8")
    beside.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DamagedArtefact(
            file=path, found="a record that cannot be read", wanted="what a run recorded",
            do="remove it, and run its study again",
        ) from error  # fmt: skip
    return body
