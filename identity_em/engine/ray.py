"""Ray workers behind the engine's seam: the same artefacts on as many hosts as the cluster has.

One Ray actor holds the GPUs of one training for as long as the run goes on, and its tools stay warm from artefact to
artefact (`engine.make.Workshop`): no two processes ever hold models on one GPU. What needs no GPU runs beside them as
Ray tasks. What was made is in the store, which all hosts share; so where an actor, its worker or its node dies, its
artefact is handed to another one, which finds it there or finds a dead maker's lock.

Source: FACTS 7.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from identity_em import places
from identity_em.engine.local import Done, attempt, checkpoint_of
from identity_em.engine.means import Means
from identity_em.errors import MissingEnvironment
from identity_em.study.artefacts import Artefact, Dataset, Scores

try:
    import ray
    from ray.exceptions import RayActorError, RayError, RayTaskError
    from ray.util import remove_placement_group

    from identity_em.engine import ray_nodes
except ImportError as error:
    raise MissingEnvironment(
        found="no Ray in this environment", wanted="Ray on every host", do="in the checkout: pip install -e '.[ray]'"
    ) from error

# A dead worker or node is no fault of the artefact; one that kills every worker it is given is.
_RETRIES = 3


@dataclass
class _Job:
    artefact: Artefact
    since: float
    tries: int = 0
    actor: Any = None


class Cluster:
    """The workers of a Ray cluster.

    Args:
        store: Root of the store, a folder that every host of the cluster sees under this path, or a bucket's scratch.
        address: `HOST:PORT` of the head, or "auto" for the cluster that this host is in.
        means: What the workers work with; its paths are the same on every host.
        gpus: GPUs of one worker on each of its nodes, where the cluster has any: as many as its largest training takes.
        nodes: Different nodes that one worker takes, for the same reason.
        most: Workers that there is work for.

    Raises:
        MissingEnvironment: There is no cluster at the address, or too few of its nodes have so many GPUs.
    """

    def __init__(self, store: Path, *, address: str, means: Means, gpus: int, nodes: int, most: int) -> None:
        self._given, self._most = (places.named(store), means), most
        # Ray says on standard output what died; that is the caller's.
        self._aside = redirect_stdout(sys.stderr)
        self._aside.__enter__()
        self._ours = not ray.is_initialized()
        if self._ours:
            _join(address)
        # Where there are GPUs they say how many actors there are; CPUs stay for what runs beside them.
        self._kind, self._each = ("GPU", gpus) if any(_each_node("GPU")) else ("CPU", 1)
        self._nodes = nodes
        self._check()
        self._groups: dict[Any, Any] = {}
        self._starting: dict[Any, Any] = {}
        self._free: dict[Any, str | None] = {}
        self._running: dict[Any, _Job] = {}
        self._again: list[_Job] = []
        self._stillborn = 0
        self._make = ray.remote(max_retries=_RETRIES)(make)
        self._maker: Any = ray.remote(max_restarts=0)(Maker)
        self._hire()

    @property
    def idle(self) -> list[str | None]:
        """For each actor with nothing to do, the key of the checkpoint that it has at hand."""
        self._hire()
        return list(self._free.values())

    def submit(self, artefact: Artefact, near: str | None = None) -> None:
        """Hand an artefact to the cluster: what needs a model to an idle actor, which has `near` at hand if one has."""
        job = _Job(artefact, time.monotonic())
        if self._kind == "GPU" and isinstance(artefact, Dataset | Scores):
            named = self._make.options(name=f"{artefact.kind} {artefact.key[:12]}", num_cpus=1)
            self._running[named.remote(artefact, *self._given)] = job
        else:
            self._hand(job, near)

    def wait(self, timeout: float) -> list[Done]:
        """What ended within `timeout` seconds; an artefact whose workers all died has failed.

        Raises:
            MissingEnvironment: The cluster is gone, or no worker can start on it.
        """
        refs = [*self._running, *self._starting]
        if not refs:
            time.sleep(timeout)
            return []
        ready, _ = ray.wait(refs, num_returns=1, timeout=timeout)
        if ready:  # and whatever else has ended with it
            ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in [ref for ref in ready if ref in self._starting]:
            self._begun(ref)
        ended = [self._finish(ref) for ref in ready if ref in self._running]
        while self._again and self._free:
            self._hand(self._again.pop(), None)
        return [done for done in ended if done is not None]

    def close(self) -> None:
        """Give up what still runs and leave the cluster."""
        for ref, job in self._running.items():
            if job.actor is None:
                ray.cancel(ref, force=True)
        for actor in [*self._starting.values(), *self._free, *(job.actor for job in self._running.values())]:
            if actor is not None:
                ray.kill(actor)
                self._release(actor)
        if self._ours:
            ray.shutdown()
        self._aside.__exit__(None, None, None)

    def _hire(self) -> None:
        """As many actors as the cluster has room for now: nodes come and go."""
        room = ray_nodes.room([int(there // self._each) for there in _each_node(self._kind)], self._nodes)
        busy = sum(job.actor is not None for job in self._running.values())
        for _ in range(min(room, self._most) - busy - len(self._free) - len(self._starting)):
            actor = self._hired()
            self._starting[actor.begun.remote()] = actor

    def _hired(self) -> Any:
        wants = ray_nodes.options({self._kind: self._each})
        if self._nodes == 1:
            return self._maker.options(**wants).remote(*self._given)
        group = ray_nodes.reserve({self._kind: self._each}, self._nodes)
        actor = self._maker.options(**wants, scheduling_strategy=ray_nodes.at(group, 0)).remote(*self._given)
        self._groups[actor] = group
        return actor

    def _release(self, actor: Any) -> None:
        if actor in self._groups:
            remove_placement_group(self._groups.pop(actor))

    def _begun(self, ref: Any) -> None:
        actor = self._starting.pop(ref)
        try:
            ray.get(ref)
        except RayError as failure:
            self._stillborn += 1
            self._release(actor)
            if self._stillborn > _RETRIES:
                raise MissingEnvironment(
                    found=f"a cluster on which no worker starts ({' '.join(str(failure).split())[-300:]})",
                    wanted="this package, at this version, on every host", do="install it there, then run again",
                ) from failure  # fmt: skip
        else:
            self._stillborn, self._free[actor] = 0, None

    def _hand(self, job: _Job, near: str | None) -> None:
        actor = next((one for one, at_hand in self._free.items() if at_hand == near), next(iter(self._free)))
        at_hand = self._free.pop(actor)
        job.actor, job.tries = actor, job.tries + 1
        self._running[actor.make.remote(job.artefact, checkpoint_of(job.artefact) or at_hand)] = job

    def _finish(self, ref: Any) -> Done | None:
        """How an artefact ended; None where it is to be tried again."""
        job = self._running.pop(ref)
        try:
            outcome, error, code, at_hand = ray.get(ref)
        except RayTaskError as failure:
            outcome, error, code = "failed", " ".join(str(failure.cause).split()), 1
        except RayError as failure:
            self._release(job.actor)
            if isinstance(failure, RayActorError) and job.tries <= _RETRIES:
                self._again.append(job)
                return None
            outcome, error, code = "failed", f"its workers died ({type(failure).__name__})", 1
        else:
            if job.actor is not None:
                self._free[job.actor] = at_hand
        return Done(job.artefact, outcome, time.monotonic() - job.since, error, code)

    def _check(self) -> None:
        there = _each_node(self._kind)
        if sum(one >= self._each for one in there) < self._nodes:
            wanted = f"{self._each} for one training" + (f", on {self._nodes} nodes" if self._nodes > 1 else "")
            raise MissingEnvironment(
                found=f"nodes with {', '.join(f'{one:g}' for one in sorted(there))} {self._kind}s", wanted=wanted,
                do="lower `gpus` or `nodes` in the study's settings, or add nodes",
            )  # fmt: skip


class Maker:
    """A Ray actor: a workshop that stays."""

    def __init__(self, store: str, means: Means) -> None:
        from identity_em.engine.make import Workshop
        from identity_em.store import Store

        os.environ.setdefault("OMP_NUM_THREADS", "1")
        ray_nodes.tell_launcher()
        self._workshop = Workshop(Store(places.folder(store)), means)

    def begun(self) -> None:
        """Answers once the actor is there."""

    def make(self, artefact: Artefact, at_hand: str | None) -> tuple[str, str, int, str | None]:
        """Make one artefact; outcome, error, exit code, and the checkpoint that is at hand then."""
        return *attempt(self._workshop, artefact), at_hand


def make(artefact: Artefact, store: str, means: Means) -> tuple[str, str, int, None]:
    """Make what needs no model, in a Ray worker that stays warm."""
    if (store, means) not in _WARM:
        _WARM[store, means] = Maker(store, means)
    return *_WARM[store, means].make(artefact, None)[:3], None


# One a worker process, store and means: Ray gives a process one task at a time.
_WARM: dict[tuple[str, Means], Maker] = {}


def _each_node(kind: str) -> list[float]:
    """What each living node has of a resource."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"].get(kind, 0) for node in nodes if node["Alive"]]


def _join(address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise MissingEnvironment(
            found=f"no Ray cluster at {address} ({type(error).__name__})", wanted="the head's HOST:PORT, or auto",
            do="start one: ray start --head --port=6379 (see clusters/README.md)",
        ) from error  # fmt: skip
