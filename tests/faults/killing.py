"""Kills at moments drawn by a seed, and what must hold after each."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.conftest import Place

TARGETS = ("runner", "worker", "trainer", "report")


def processes_about(store: Path) -> list[int]:
    """Living processes whose memory of how they began names the store."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except (OSError, ProcessLookupError):
            continue
        if str(store).encode() in text and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def begun_as(pattern: str) -> set[int]:
    """Living processes whose command line begins so; a NUL ends each of its words."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if re.match(pattern.encode(), (folder / "cmdline").read_bytes()):
                found.add(int(folder.name))
    return found


def family(pid: int) -> dict[int, str]:
    """A process and its descendants with their command lines."""
    listed = subprocess.run(["ps", "-eww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines() if line.strip()]
    found = {pid: ""}
    for _ in range(6):
        found |= {int(p): args for p, parent, args in rows if int(parent) in found}
    return found


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it came to hold in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.1)
    return holds()


def victim(target: str, processes: dict[int, str], runner: int) -> int | None:
    """A process of the kind; None where there is none at this moment."""
    kinds = {"worker": "spawn_main", "trainer": "axolotl_worker"}
    if target not in kinds:
        return runner
    return next((pid for pid, args in processes.items() if kinds[target] in args), None)


@dataclass
class Soak:
    """Kills one after another in one store, and a finished store for the report's.

    Attributes:
        told: One line for each kill: whom it met, and when.
    """

    place: Place
    finished: Place
    rng: random.Random
    told: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)

    def kill(self, target: str) -> None:
        """Start the study, kill the target at a random moment, then whatever of the run still lives."""
        place = self.finished if target == "report" else self.place
        before, moment = place.made(), self.rng.uniform(1.0, 8.0) if target == "report" else self.rng.uniform(2.0, 24.0)
        process = place.start()
        processes = self._during(process, moment)
        until(lambda: process.poll() is not None or bool(victim(target, family(process.pid), process.pid)), 30)
        processes |= family(process.pid)
        pid = victim(target, processes, process.pid) or process.pid
        processes |= family(process.pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        who = "runner" if pid == process.pid else target
        if pid != process.pid:
            # What outlives a worker or trainer goes on for a moment, as it would; then the runner dies, too.
            processes |= self._during(process, self.rng.uniform(0.5, 6.0))
        process.kill()
        process.communicate()
        gone = until(lambda: not any(_lives(p, a) for p, a in processes.items()), 10)
        self.told.append(f"{target}: {who} after {moment:.1f} s, {len(place.made())} artefacts")
        if not gone:
            self.orphans.append(self.told[-1])
        now = place.made()
        assert {key: now.get(key) for key in before} == before, f"made again or lost: {self.told[-1]}"

    def _during(self, process: "subprocess.Popen[str]", seconds: float) -> dict[int, str]:
        """Every process of the run seen while it goes on."""
        end, seen = time.monotonic() + seconds, family(process.pid)
        while time.monotonic() < end and process.poll() is None:
            time.sleep(min(1.0, max(0.01, end - time.monotonic())))
            seen |= family(process.pid)
        return seen


def _lives(pid: int, args: str) -> bool:
    """Whether it is still that process (a number may be given again)."""
    try:
        now = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return bool(now) and (not args or now.split()[:1] == args.split()[:1])


def left_over(store: Path) -> list[str]:
    """Partial folders and locks that nobody holds any more."""
    folders = [store / "partial", store / "locks", store / "runs"]
    return [str(p.relative_to(store)) for f in folders if f.is_dir() for p in f.iterdir() if p.name != ".guard"]


def forget(place: Place) -> None:
    """An empty place again."""
    shutil.rmtree(place.root)
    place.root.mkdir()
