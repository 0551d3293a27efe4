"""One maker at a time: a lock file with its owner and a heartbeat, taken over when the owner is gone.

A lock is stale when its owner's process is gone (same host since it booted), or when its heartbeat stopped: it is older
than `STALE_SECONDS` by the file system's own clock, or this process has seen no beat for as long by a clock that
cannot jump. So neither hosts that disagree about the time nor a heartbeat dated in the future make a lock immortal.
Changes to lock files happen under one short `filelock` guard, so two waiters cannot both take a stale lock over.
"""

import hashlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock

from identity_em import store_state

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 45.0

# The last beat of each foreign lock that this process has looked at, and since when it has seen no other.
_SEEN: dict[object, tuple[object, float]] = {}


def alive(pid: int) -> bool:
    """Whether a process of this host runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _started(pid) is not None


def _started(pid: int) -> str | None:
    """Start time of a process in clock ticks (so that a reused pid is another process); None where it is gone."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else "unknown"
    except ProcessLookupError:
        return None
    return None if state == "Z" else fields[18]


@cache
def _host() -> str:
    """This host, for people its name, which others may share; then the space of process ids, and the boot.

    Containers share the host and not the space; machines that were cloned share the name and not the boot.
    """
    try:
        space = os.readlink("/proc/self/ns/pid")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        space = boot = ""
    return f"{socket.gethostname()} {space} {boot}".strip()


def maker() -> str:
    """A name of this process for folders that it works in: process id and a digest of the host."""
    return f"{os.getpid()}.{hashlib.sha256(_host().encode()).hexdigest()[:8]}"


def gone(made_by: str) -> bool:
    """Whether the process that `maker` named was on this host and is gone."""
    pid, _, host = made_by.partition(".")
    return pid.isdigit() and host == maker().partition(".")[2] and not alive(int(pid))


def me(token: str) -> dict[str, object]:
    """This process as the owner of a lock."""
    pid = os.getpid()
    return {"token": token, "host": _host(), "pid": pid, "start": _started(pid), "since": round(time.time(), 3)}


def owned(text: str) -> dict[str, Any]:
    """The owner that a lock names; empty where it names none, so that only its heartbeat tells."""
    try:
        owner = json.loads(text)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def dead(owner: Mapping[str, object]) -> bool | None:
    """Whether a lock's owner is gone; None where it is of another host, so that only its heartbeat tells."""
    pid = owner.get("pid")
    if owner.get("host") != _host() or not isinstance(pid, int):
        return None
    return not alive(pid) or _started(pid) != owner.get("start")


def silent(lock: object, beat: object, now: float) -> float:
    """Seconds for which this process has seen no other beat of a lock than this.

    Args:
        now: Seconds that never jump.
    """
    last, since = _SEEN.get(lock, (None, now))
    if last != beat:
        since = now
    _SEEN[lock] = (beat, since)
    return now - since


class Lock:
    """A lock file; use as a context manager after `acquire` said yes.

    Args:
        path: The file.
        clock: Seconds that never jump.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self._clock = path, clock
        self.token = uuid.uuid4().hex
        self._stop = threading.Event()

    def acquire(self) -> bool:
        """Try once, without waiting; True where this process now owns the lock."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._guard():
            if not self.path.exists():  # only an absence may be remembered: who waits for a lock looks often
                store_state.look_again(self.path.parent)
            if self.path.exists() and not self._stale():
                return False
            beside = self.path.with_name(f"{self.path.name}.{self.token}")
            try:
                beside.write_text(json.dumps(me(self.token)))
                beside.replace(self.path)
            except OSError:
                beside.unlink(missing_ok=True)
                raise
        threading.Thread(target=self._beat, daemon=True).start()
        return True

    def held(self) -> bool:
        """Whether a living owner holds it."""
        return self.path.exists() and not self._stale()

    def owner(self) -> dict[str, object]:
        """Host, pid, start and since when, of whoever holds it; empty where nobody does."""
        return {name: value for name, value in self._owner().items() if name != "token"}

    def clear(self) -> bool:
        """Remove it where its owner is gone; whether it is gone now."""
        if self.path.exists() and self.acquire():
            self.release()
        return not self.path.exists()

    def release(self) -> None:
        """Give the lock back; nothing happens where another owner has taken it over."""
        self._stop.set()
        if not self.path.exists():  # with its store, perhaps: nothing is written where a mount is lost
            return
        with self._guard():
            if self._owner().get("token") == self.token:
                self.path.unlink()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    def _guard(self) -> FileLock:
        return FileLock(self.path.parent / ".guard")

    def _owner(self) -> dict[str, Any]:
        try:
            return self._read()
        except OSError:
            return {}

    def _read(self) -> dict[str, Any]:
        return owned(self.path.read_text(encoding="utf-8", errors="replace"))

    def _stale(self) -> bool:
        owner = self._owner()
        here = dead(owner)
        if here is not None:
            return here
        try:
            beat = self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return True
        quiet = silent(self.path, (owner.get("token"), beat), self._clock())
        return max(quiet, self._now() - beat / 1e9) > STALE_SECONDS

    def _now(self) -> float:
        """The time by the clock that dates the heartbeats, which on a network file system is the server's."""
        probe = self.path.with_name(f".now-{self.token}")
        try:
            probe.touch()
            return probe.stat().st_mtime
        except OSError:
            return time.time()  # reading alone is allowed here
        finally:
            with suppress(OSError):
                probe.unlink()

    def _beat(self) -> None:
        """Show that this process lives, until it gives the lock back or is seen to have lost it."""
        while not self._stop.wait(HEARTBEAT_SECONDS):
            with suppress(OSError):  # what cannot be read now may be soon
                if self._read().get("token", self.token) != self.token:
                    return
                os.utime(self.path)
