"""One maker at a time: a lock file with its owner and a heartbeat, taken over when the owner is gone.

A lock is stale when its owner's process is gone (same host) or its heartbeat is older than `STALE_SECONDS` (another
host). Changes to lock files happen under one short `filelock` guard, so two waiters cannot both take a stale lock over.
"""

import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType

from filelock import FileLock

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 45.0


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


class Lock:
    """A lock file; use as a context manager after `acquire` said yes."""

    def __init__(self, path: Path) -> None:
        self.path = path
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
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "start": _started(os.getpid()),
            }
            beside = self.path.with_name(f"{self.path.name}.{self.token}")
            beside.write_text(json.dumps(owner))
            beside.replace(self.path)
        threading.Thread(target=self._beat, daemon=True).start()
        return True

    def held(self) -> bool:
        """Whether a living owner holds it."""
        return self.path.exists() and not self._stale()

    def owner(self) -> dict[str, object]:
        """Host, pid and start of whoever holds it; empty where nobody does."""
        return {name: value for name, value in self._owner().items() if name != "token"}

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
        if owner.get("host") == socket.gethostname() and isinstance(pid, int):
            return not alive(pid) or _started(pid) != owner.get("start")
        try:
            return time.time() - self.path.stat().st_mtime > STALE_SECONDS
        except FileNotFoundError:
            return True

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            if self._owner().get("token") != self.token:
                return
            try:
                os.utime(self.path)
            except OSError:
                return
