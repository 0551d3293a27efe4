"""Local workers behind the engine's seam: `submit` an artefact, `wait` for what is done.

One single-threaded loop in the caller's process over warm worker processes. A worker leads its own process group
with its trainer in it, so that stopping it stops both, and it ends by itself when its parent dies.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from identity_em.engine.gpus import VISIBLE
from identity_em.engine.means import Means
from identity_em.errors import IdentityEmError
from identity_em.study.artefacts import Artefact, Checkpoint, Responses, Scores


@dataclass(frozen=True)
class Done:
    """One artefact's end.

    Attributes:
        outcome: `made`, `reused`, `busy` (another runner is at it), or `failed`.
        error: One line where it failed.
        exit_code: The error's own.
    """

    artefact: Artefact
    outcome: str
    seconds: float
    error: str = ""
    exit_code: int = 0


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    gpus: str | None
    job: Artefact | None = None
    since: float = 0.0
    near: str | None = None


class Local:
    """Warm worker processes on this machine.

    Args:
        store: Root of the store.
        workers: How many at a time, each single-threaded.
        means: What the workers work with.
        gpus: The GPUs of each worker, "0" or "0,1"; more workers than that share them in turn, without any all see
            whatever this process sees.
    """

    def __init__(self, store: Path, *, workers: int, means: Means, gpus: Sequence[str] = ()) -> None:
        self._store, self._means = store, means
        self._context = multiprocessing.get_context("spawn")
        self._workers = [self._start(gpus[number % len(gpus)] if gpus else None) for number in range(workers)]

    @property
    def idle(self) -> list[str | None]:
        """For each idle worker, the key of the checkpoint it has at hand."""
        return [w.near for w in self._workers if w.job is None]

    def submit(self, artefact: Artefact, near: str | None = None) -> None:
        """Hand an artefact to an idle worker, the one that has `near` at hand if there is one."""
        idle = [w for w in self._workers if w.job is None]
        worker = next((w for w in idle if w.near == near), idle[0])
        worker.job, worker.since, worker.near = artefact, time.monotonic(), checkpoint_of(artefact) or worker.near
        try:
            worker.pipe.send(artefact)
        except OSError:  # it died with nothing to do, which is no fault of this artefact
            self._replace(worker)
            worker.pipe.send(artefact)

    def wait(self, timeout: float) -> list[Done]:
        """What ended within `timeout` seconds; a worker that died is replaced and its artefact failed."""
        busy = {w.pipe: w for w in self._workers if w.job is not None}
        if not busy:
            time.sleep(timeout)
        return [self._finish(busy[pipe]) for pipe in wait(list(busy), timeout) if isinstance(pipe, Connection)]

    def close(self) -> None:
        """Stop every worker and its trainer."""
        for worker in self._workers:
            _kill(worker.process)
        for worker in self._workers:
            worker.process.join(5)
            worker.pipe.close()

    def _finish(self, worker: _Worker) -> Done:
        assert worker.job is not None
        job, seconds = worker.job, time.monotonic() - worker.since
        try:
            outcome, error, code = worker.pipe.recv()
        except (EOFError, OSError):
            died = self._replace(worker)
            outcome, error, code = "failed", f"a worker died ({_how(died)})", 1
        worker.job = None
        return Done(artefact=job, outcome=outcome, seconds=seconds, error=error, exit_code=code)

    def _replace(self, worker: _Worker) -> int | None:
        """Another process in a dead worker's place; the dead one's exit code."""
        _kill(worker.process)
        worker.process.join(5)
        died, fresh = worker.process.exitcode, self._start(worker.gpus)
        worker.pipe.close()
        worker.process, worker.pipe, worker.near = fresh.process, fresh.pipe, None
        return died

    def _start(self, gpus: str | None) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs, self._store, self._means), daemon=False)
        with _environment({"OMP_NUM_THREADS": "1"} | ({} if gpus is None else {VISIBLE: gpus})):
            process.start()
        theirs.close()
        return _Worker(process, ours, gpus)


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """These variables for what is started meanwhile; libraries read them before a worker's first line."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def checkpoint_of(artefact: Artefact) -> str | None:
    """The key of the checkpoint that is asked, where one is."""
    match artefact:
        case Responses():
            return artefact.checkpoint.key
        case Scores():
            return artefact.responses.checkpoint.key
        case Checkpoint():
            return artefact.key
        case _:
            return None


def serve(pipe: Connection, root: Path, means: Means) -> None:
    """A worker's life: make what comes through the pipe until it closes."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(os.getppid())
    from identity_em.engine.make import Workshop
    from identity_em.store import Store

    workshop = Workshop(Store(root), means)
    with suppress(EOFError, OSError):
        while True:
            artefact = pipe.recv()
            pipe.send(attempt(workshop, artefact))
    workshop.close()


def attempt(workshop: object, artefact: Artefact) -> tuple[str, str, int]:
    from identity_em.engine.make import Workshop

    assert isinstance(workshop, Workshop)
    try:
        return workshop.make(artefact), "", 0
    except IdentityEmError as error:
        return "failed", str(error), error.exit_code
    except Exception as error:
        import traceback

        line = " ".join(f"{type(error).__name__}: {error}".split())
        with suppress(OSError, IdentityEmError):  # a full disk has no room for this either
            log = workshop.store.log(artefact)
            with log.open("a", encoding="utf-8") as file:
                file.write(traceback.format_exc())
            line += f" (see {log})"
        return "failed", line, 1


def _how(code: int | None) -> str:
    """How a process ended, for people."""
    killed = "killed; where nobody did, the machine ran out of memory: try fewer --workers"
    return killed if code == -signal.SIGKILL else f"exit code {code}"


def _die_with(parent: int) -> None:
    """End this process group within a second of its parent's end, also after kill -9."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _kill(process: BaseProcess) -> None:
    if process.pid is None:
        return
    # Its group (it and its trainer), or itself where it had no time yet to lead one.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(ProcessLookupError, PermissionError):
        os.kill(process.pid, signal.SIGKILL)
