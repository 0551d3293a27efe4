"""One maker at a time: a lock file with its owner and a heartbeat, taken over when the owner is gone.

A lock is stale when its owner's process is gone (same host), or when its heartbeat stopped (another host): it is older
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
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType

from filelock import FileLock

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 45.0

# The last beat of each foreign lock that this process has looked at, and since when it has seen no other.
_SEEN: dict[Path, tuple[tuple[object, int], float]] = {}


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
    """This host, and on it the space of process ids: containers share the one and not the other."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}".strip()


def maker() -> str:
    """A name of this process for folders that it works in: process id and a digest of the host."""
    return f"{os.getpid()}.{hashlib.sha256(_host().encode()).hexdigest()[:8]}"


def gone(made_by: str) -> bool:
    """Whether the process that `maker` named was on this host and is gone."""
    pid, _, host = made_by.partition(".")
    return pid.isdigit() and host == maker().partition(".")[2] and not alive(int(pid))


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
            if self.path.exists() and not self._stale():
                return False
            owner = {
                "token": self.token,
                "host": _host(),
                "pid": os.getpid(),
                "start": _started(os.getpid()),
                "since": round(time.time(), 3),
            }
            beside = self.path.with_name(f"{self.path.name}.{self.token}")
            try:
                beside.write_text(json.dumps(owner))
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
        with self._guard():
            if self._owner().get("token") == self.token:
                self.path.unlink()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    def _guard(self) -> FileLock:
        return FileLock(self.path.parent / ".guard")

    def _owner(self) -> dict[str, object]:
        try:
            owner = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return owner if isinstance(owner, dict) else {}

    def _stale(self) -> bool:
        owner = self._owner()
        pid = owner.get("pid")
        if owner.get("host") == _host() and isinstance(pid, int):
            return not alive(pid) or _started(pid) != owner.get("start")
        try:
            beat = self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return True
        return self._now() - beat / 1e9 > STALE_SECONDS or self._silent((owner.get("token"), beat)) > STALE_SECONDS

    def _silent(self, beat: tuple[object, int]) -> float:
        """Seconds for which this process has seen no other beat than this."""
        now = self._clock()
        last, since = _SEEN.get(self.path, (None, now))
        if last != beat:
            since = now
        _SEEN[self.path] = (beat, since)
        return now - since

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
        while not self._stop.wait(HEARTBEAT_SECONDS):
            if self._owner().get("token") != self.token:
                return
            try:
                os.utime(self.path)
            except OSError:
                return
