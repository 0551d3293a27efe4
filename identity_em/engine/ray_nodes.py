"""Trainings on several nodes of a Ray cluster: their GPUs reserved together, torchrun started on each.

A worker whose trainings take several nodes holds a Ray placement group: as many GPUs on each of so many different
nodes, itself on the first. This module is also the command that `training.launch` puts before torchrun's words there:
`python -m identity_em.engine.ray_nodes HEAD GROUP TORCHRUN...` runs them once on every node of the group, this one
included. Where a node of it dies, the worker is ended: its artefact is made again by another, as if its own node had.

Source: https://docs.ray.io/en/latest/ray-core/scheduling/placement-group.html
"""

from __future__ import annotations

import ctypes
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.placement_group import PlacementGroup, get_current_placement_group, placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from identity_em.training import launch

# What each node says for itself.
_OF_A_NODE = ("CUDA_VISIBLE_DEVICES", "RAY_", "TMPDIR")
_POLL_SECONDS = 0.5
# How long a group may lack a node that died, and the others may take to end once one has.
_PATIENCE = 60.0
_PR_SET_PDEATHSIG = 1


def room(slots: Sequence[int], nodes: int) -> int:
    """Groups that fit at once.

    Args:
        slots: How many workers of one node each node has room for.
        nodes: Different nodes that a group takes, one slot of each.
    """
    groups = sum(slots) // nodes
    while groups and sum(min(there, groups) for there in slots) < groups * nodes:
        groups -= 1
    return groups


def reserve(resources: Mapping[str, float], nodes: int) -> PlacementGroup:
    """`resources` on each of so many different nodes, as soon as they are free."""
    group: PlacementGroup = placement_group([dict(resources)] * nodes, strategy="STRICT_SPREAD")
    return group


def options(resources: Mapping[str, float]) -> dict[str, Any]:
    """What a task or an actor says to take `resources`."""
    return {"num_cpus": resources.get("CPU", 0), "num_gpus": resources.get("GPU", 0)}


def at(group: PlacementGroup, node: int) -> PlacementGroupSchedulingStrategy:
    """On the group's node of this number, 0 being the worker's own."""
    return PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=node)


def tell_launcher() -> None:
    """In a worker of several nodes: `training.launch` is to start torchrun by this module, if nothing else is said."""
    group = get_current_placement_group()
    if group is not None:
        head = ray.get_runtime_context().gcs_address
        words = [sys.executable, "-m", __name__, head, group.id.hex()]
        os.environ.setdefault(launch.VARIABLE, shlex.join(words))


def main(arguments: Sequence[str]) -> int:
    """Run the words on every node of the group; the exit code of the first that went wrong."""
    head, hexadecimal, *words = arguments
    ray.init(address=head, logging_level=logging.WARNING, configure_logging=False)
    group = PlacementGroup(ray.PlacementGroupID.from_hex(hexadecimal))
    if not group.wait(_PATIENCE):
        _give_up("a node of this worker is gone")
    here = _started(words, dict(os.environ))
    try:
        there = [
            _run.options(scheduling_strategy=at(group, number), **options(bundle)).remote(words, _carried(os.environ))
            for number, bundle in enumerate(group.bundle_specs)
            if number
        ]
        return _ended(here, there)
    finally:
        with suppress(ProcessLookupError):
            here.kill()


def _carried(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(_OF_A_NODE)}


@ray.remote(max_retries=0)
def _run(words: Sequence[str], carried: Mapping[str, str]) -> int:
    """One node's part of a training; its exit code."""
    return _started(words, {**os.environ, **carried}).wait()


def _started(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process that ends with the one that started it, however that ends."""
    libc, parent = ctypes.CDLL(None), os.getpid()

    def follow() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(words, stdin=subprocess.DEVNULL, env=dict(environment), preexec_fn=follow)


def _ended(here: subprocess.Popen[bytes], there: Sequence[Any]) -> int:
    """The first exit code that is not 0; the other nodes are given a while then."""
    left, codes, deadline = list(there), [0], float("inf")
    while (left or here.poll() is None) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        ready, left = ray.wait(left, num_returns=len(left), timeout=0) if left else ([], [])
        codes += [_code(ref) for ref in ready]
        if any(codes) or here.poll():
            deadline = min(deadline, time.monotonic() + _PATIENCE)
    return next(filter(None, [*codes, here.poll()]), 0)


def _code(ref: Any) -> int:
    """What a node's part ended with; no answer from it is the end of this worker."""
    try:
        return int(ray.get(ref))
    except RayTaskError as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    except RayError as failure:
        _give_up(f"a node of this training died: {failure}")


def _give_up(why: str) -> NoReturn:
    """End the worker that this is a part of, which Ray reports as dead."""
    sys.stderr.write(f"{why}\n")
    os.kill(os.getppid(), signal.SIGKILL)
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
