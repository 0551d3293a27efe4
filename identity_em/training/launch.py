"""A training by several processes, one a GPU: torchrun in Axolotl's environment, on one machine or on several.

On several machines torchrun has to be started on each. IDENTITY_EM_LAUNCHER says how: a command that runs the words
after it once on every node of the training, this one included, such as `srun --nodes=2 --ntasks-per-node=1`; on a Ray
cluster `engine.ray_nodes` is that command. The processes meet at this machine's name, and the store's folder has to be
the same on all of them.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from identity_em.errors import MissingEnvironment, TrainingFailed
from identity_em.training import axolotl_resume
from identity_em.training.jobs import Job
from identity_em.training.placement import Placement

VARIABLE = "IDENTITY_EM_LAUNCHER"


def train(
    python: Path, worker: Path, job: Job, told: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Train one stage by as many processes as it asks for; what the first of them answered, or whoever refused.

    Args:
        python: The interpreter of Axolotl's environment.
        worker: The file that each process runs.
        job: The stage; its `work` is seen by all nodes.
        told: The job as the worker reads it.
        environment: Variables of the processes.

    Raises:
        MissingEnvironment: Several nodes, and nothing says how to start processes on them.
        TrainingFailed: No process answered.
    """
    for old in job.work.glob("answer-*"):
        old.unlink()
    file = job.work / "job.json"
    file.write_text(json.dumps({**told, "last": _last(job)}), encoding="utf-8")
    words = [*_prefix(job.placement), *_torchrun(python, job.placement), str(worker), str(os.getpid()), str(file)]
    with job.log.open("ab") as log:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**environment, "PYTHONSAFEPATH": "1"},
        )  # fmt: skip
        try:
            code = process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    answers = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(job.work.glob("answer-*.json"))]
    troubles = [answer for answer in answers if "trained" not in answer]
    if troubles or (answers and code == 0):
        return dict((troubles or answers)[0])
    raise TrainingFailed(f"the {job.placement.processes} training processes ended with {_how(code)}; log: {job.log}")


def check(placement: Placement) -> None:
    """Raises MissingEnvironment where several nodes are asked for and nothing says how to reach them."""
    _prefix(placement)


def _last(job: Job) -> str | None:
    """The checkpoint that all processes go on from; None where they begin."""
    if job.resume is None:
        return None
    with job.log.open("a", encoding="utf-8") as log:
        found = axolotl_resume.newest(job.resume, job.placement.processes, log)
    return str(found) if found else None


def _prefix(placement: Placement) -> list[str]:
    words = shlex.split(os.environ.get(VARIABLE, ""))
    if placement.nodes == 1:
        return []
    if not words:
        raise MissingEnvironment(
            found=f"a training on {placement.nodes} nodes, and no {VARIABLE}",
            wanted="the command that runs its words once on each node",
            do=f"set it, under Slurm: {VARIABLE}='srun --nodes={placement.nodes} --ntasks-per-node=1'",
        )
    return words


def _torchrun(python: Path, placement: Placement) -> list[str]:
    place = "localhost:0" if placement.nodes == 1 else f"{socket.gethostname()}:{_free_port()}"
    return [
        str(python), "-m", "torch.distributed.run", f"--nnodes={placement.nodes}",
        f"--nproc-per-node={placement.gpus}", "--rdzv-backend=c10d", f"--rdzv-endpoint={place}",
        f"--rdzv-id={os.getpid()}", "--max-restarts=0",
    ]  # fmt: skip


def _free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])


def _how(code: int) -> str:
    killed = " (where nobody killed it, the machine ran out of memory)" if code == -signal.SIGKILL else ""
    return f"signal {signal.Signals(-code).name}{killed}" if code < 0 else f"exit code {code}"
