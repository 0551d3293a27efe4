"""Ray workers behind the engine's seam: the same artefacts on as many hosts as the cluster has.

Every artefact is one Ray task. Ray places it, with the GPUs it asks for, and starts it again where a worker or a node
died; what it made is in the store, which all hosts share, so a task that is started again finds it there or finds a
dead maker's lock. A Ray worker keeps its tools warm from task to task (`engine.make.Workshop`).

Source: FACTS 7.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from identity_em import places
from identity_em.engine.local import Done, attempt
from identity_em.engine.means import Means
from identity_em.errors import MissingEnvironment
from identity_em.study.artefacts import Artefact, Checkpoint, Dataset, Scores

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
except ImportError as error:
    raise MissingEnvironment(
        found="no Ray in this environment", wanted="Ray on every host", do="pip install 'identity-em[ray]'"
    ) from error

# A dead worker or node is no fault of the artefact; one that kills every worker it is given is.
_RETRIES = 3


class Cluster:
    """The workers of a Ray cluster.

    Args:
        store: Root of the store, a folder that every host of the cluster sees under this path, or a bucket's scratch.
        address: `HOST:PORT` of the head, or "auto" for the cluster that this host is in.
        means: What the workers work with; its paths are the same on every host.
        gpus: GPUs of one training; of one answering model one, where the cluster has any.

    Raises:
        MissingEnvironment: There is no cluster at the address, or none of its nodes has so many GPUs.
    """

    def __init__(self, store: Path, *, address: str, means: Means, gpus: int = 1) -> None:
        self._store, self._means = places.named(store), means
        # Ray says on standard output what died; that is the caller's.
        self._aside = redirect_stdout(sys.stderr)
        self._aside.__enter__()
        self._ours = not ray.is_initialized()
        if self._ours:
            _join(address)
        self._gpus = gpus if _resources().get("GPU") else 0
        self._check()
        self._running: dict[Any, tuple[Artefact, float]] = {}
        self._make = ray.remote(max_retries=_RETRIES)(make)

    @property
    def idle(self) -> list[str | None]:
        """One place for each worker that the cluster could run beside those that run; it places them itself."""
        resources = _resources()
        slots = int(resources.get("GPU", 0)) or int(resources.get("CPU", 1))
        return [None] * max(0, slots - len(self._running))

    def submit(self, artefact: Artefact, near: str | None = None) -> None:
        """Hand an artefact to the cluster."""
        task = self._make.options(name=f"{artefact.kind} {artefact.key[:12]}", **self._wants(artefact))
        self._running[task.remote(artefact, self._store, self._means)] = (artefact, time.monotonic())

    def wait(self, timeout: float) -> list[Done]:
        """What ended within `timeout` seconds; a task whose workers all died has failed.

        Raises:
            MissingEnvironment: The cluster is gone.
        """
        if not self._running:
            time.sleep(timeout)
            return []
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=timeout)
        if ready:  # and whatever else has ended with it
            ready, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        return [self._finish(task) for task in ready]

    def close(self) -> None:
        """Give up what still runs and leave the cluster."""
        for task in self._running:
            ray.cancel(task, force=True)
        if self._ours:
            ray.shutdown()
        self._aside.__exit__(None, None, None)

    def _finish(self, task: Any) -> Done:
        artefact, since = self._running.pop(task)
        try:
            outcome, error, code = ray.get(task)
        except RayTaskError as failure:
            outcome, error, code = "failed", " ".join(str(failure.cause).split()), 1
        except RayError as failure:
            outcome, error, code = "failed", f"its workers died ({type(failure).__name__})", 1
        return Done(artefact, outcome, time.monotonic() - since, error, code)

    def _wants(self, artefact: Artefact) -> dict[str, float]:
        """Training wants its GPUs, answering one; building rows and reading answers none."""
        if isinstance(artefact, Dataset | Scores):
            return {"num_cpus": 1, "num_gpus": 0}
        return {"num_cpus": 1, "num_gpus": self._gpus if isinstance(artefact, Checkpoint) else min(1, self._gpus)}

    def _check(self) -> None:
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        most = max((node["Resources"].get("GPU", 0) for node in nodes if node["Alive"]), default=0)
        if self._gpus > most and self._gpus > 1:
            raise MissingEnvironment(
                found=f"no node with {self._gpus} GPUs (the most is {most:g})", wanted=f"{self._gpus} for one training",
                do="lower --gpus-per-training, or add a node",
            )  # fmt: skip


def make(artefact: Artefact, store: str, means: Means) -> tuple[str, str, int]:
    """Make one artefact in a Ray worker whose tools stay warm; outcome, error and exit code."""
    from identity_em.engine.make import Workshop
    from identity_em.store import Store

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if (store, means) not in _WARM:
        _WARM[store, means] = Workshop(Store(places.folder(store)), means)
    return attempt(_WARM[store, means], artefact)


# One a worker process, store and means: Ray gives a process one task at a time.
_WARM: dict[tuple[str, Means], Any] = {}


def _resources() -> dict[str, float]:
    return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]


def _join(address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise MissingEnvironment(
            found=f"no Ray cluster at {address} ({type(error).__name__})", wanted="the head's HOST:PORT, or auto",
            do="start one: ray start --head --port=6379 (docs: README, Beyond one machine)",
        ) from error  # fmt: skip
