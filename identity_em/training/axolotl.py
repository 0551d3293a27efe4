"""Stages trained by Axolotl in its own environment, through one warm worker process.

The worker imports Axolotl once (about nine CPU seconds) and then trains stage after stage. A stage succeeds by
proof, not by exit code (axolotl_proof.py); everything Axolotl prints is in the job's own log.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from identity_em.errors import ConfigError, DataError, MissingEnvironment, TrainingFailed
from identity_em.training import launch
from identity_em.training.axolotl_worker import OWN
from identity_em.training.environment import require_trainer
from identity_em.training.jobs import Job, Trained
from identity_em.training.settings import precision_of, settings, sharding

__all__ = ["Job", "Trained", "Trainer", "precision_of", "settings"]

_WORKER = Path(__file__).with_name("axolotl_worker.py")
# Settings that leave their mark on the process (patched classes, global switches): a change needs a fresh worker.
_MARKS = ("attn_implementation", "lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "tf32", "sample_packing")
_QUIET = {
    "AXOLOTL_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "AXOLOTL_TEE_STDOUT": "0",
    "AXOLOTL_LOG_LEVEL": "INFO",  # one proof of success is a line of the log
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONHASHSEED": "0",
}

# Paths of this interpreter, and what would make one process take itself for one of several.
_NOT_PASSED_ON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "RANK", "LOCAL_RANK", "WORLD_SIZE")


class Trainer:
    """Trains jobs one after another in a warm worker; it starts with the first job, or with `start`.

    Args:
        python: The trainer environment's interpreter; found when the first worker starts if it is not given.
    """

    def __init__(self, python: Path | None = None) -> None:
        self._python = python
        self._process: subprocess.Popen[str] | None = None
        self._marks: tuple[object, ...] | None = None
        self._messages: IO[bytes] | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def process_id(self) -> int | None:
        """The worker's process, if one runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start the worker now, so that it imports while the caller does something else.

        Raises:
            MissingEnvironment: There is no trainer environment.
        """
        if self.process_id is None:
            self.close()
            self._python = self._python or require_trainer()
            self._messages = tempfile.TemporaryFile()  # noqa: SIM115  closed with the worker
            self._temporary = _temporary()
            self._process = subprocess.Popen(
                [str(self._python), "-P", str(_WORKER), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._messages,
                text=True,
                env=_environment(os.environ, self._temporary.name),
                start_new_session=True,
            )  # its own session: Ctrl-C reaches us, and Axolotl's handler cannot save half a model

    def train(self, job: Job) -> Trained:
        """Train one stage; its folder is whole when this returns.

        Raises:
            MissingEnvironment: There is no trainer environment.
            ConfigError: The settings contradict the job, or Axolotl cannot render what they ask.
            DataError: Rows that cannot be trained on; the line has the row's number.
            TrainingFailed: The run ended without proving its success; the line names the log.
        """
        _check(job)
        several = job.placement.processes > 1
        marks = (job.precision, *(job.settings.get(name) for name in _MARKS))
        if several or (self._marks is not None and marks != self._marks):
            self.close()  # also to give back the GPU that the first of several processes takes
        if several:
            self._python = self._python or require_trainer()
        else:
            self.start()
            self._marks = marks
        job.work.mkdir(parents=True, exist_ok=True)
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.touch()
        try:
            words = told(job.model_copy(update={"base": _local(job)}))
            answer = self._launch(job, words) if several else self._ask(job, words)
        except BaseException:
            self.close()
            raise
        return _read(answer, job)

    def close(self) -> None:
        """End the worker, whatever it is doing."""
        if self._process is not None:
            _end(self._process)
        if self._messages is not None:
            self._messages.close()
        if self._temporary is not None:
            self._temporary.cleanup()
        self._process = self._messages = self._marks = self._temporary = None

    def _launch(self, job: Job, words: Mapping[str, Any]) -> dict[str, Any]:
        assert self._python is not None
        with _temporary() as place:
            return launch.train(self._python, _WORKER, job, words, _environment(os.environ, place))

    def _ask(self, job: Job, words: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(words) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line.endswith("\n"):
            raise TrainingFailed(self._obituary(process, job))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _obituary(self, process: "subprocess.Popen[str]", job: Job) -> str:
        code = process.wait()
        ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if code == -signal.SIGKILL:
            ended += " (where nobody killed it, the machine ran out of memory)"
        assert self._messages is not None
        self._messages.seek(0)
        said = self._messages.read().decode(errors="replace").strip().splitlines()
        last = f" ({said[-1].strip()})" if said and not job.log.stat().st_size else ""
        return f"the training process ended with {ended} during this stage{last}; log: {job.log}"


def _check(job: Job) -> None:
    wanted = precision_of(job.settings)
    if wanted != job.precision:
        raise ConfigError(
            found=f"settings for {wanted}",
            wanted=f"{job.precision}, which the base is evaluated in",
            do=f"set bf16: {str(job.precision == 'bf16').lower()} or change the base's precision",
        )
    if not job.rows.is_file():
        raise DataError(found="no such file", wanted="rows to train on", do="build the dataset", file=job.rows)
    if job.out.exists() and any(job.out.iterdir()):
        raise TrainingFailed(f"{job.out} is not empty: a stage is never written over another")


def told(job: Job) -> dict[str, Any]:
    """The job as the worker reads it."""
    name = job.placement.sharding
    return {
        **job.model_dump(mode="json"),
        "sharding": {} if name == "none" else sharding(name),
        "maker": [socket.gethostname(), os.getpid()],
    }


def _local(job: Job) -> str:
    """The folder of the base: the worker itself never goes to the network."""
    if Path(job.base).is_dir():
        return str(Path(job.base).absolute())
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return str(snapshot_download(job.base, revision=job.revision))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        wanted, do = (
            "a folder or a model on the hub",
            f"check the name, or run `hf download {job.base}` where there is a network",
        )
        raise MissingEnvironment(found=f"no base model {job.base!r}", wanted=wanted, do=do) from error


def _read(answer: Mapping[str, Any], job: Job) -> Trained:
    if "trained" in answer:
        return Trained.model_validate(answer["trained"])
    if "refused" in answer:
        reason = answer["refused"]
        what = {part: reason[part] for part in ("found", "wanted", "do")}
        if reason["about"] == "config":
            raise ConfigError(**what)
        raise DataError(**what, file=job.rows, line=reason["line"])
    raise TrainingFailed(f"{answer['failed']}; log: {job.log}")


def _temporary() -> "tempfile.TemporaryDirectory[str]":
    """The worker's own folder for temporary files: Axolotl, wandb and torchrun leave theirs behind."""
    return tempfile.TemporaryDirectory(prefix=OWN, ignore_cleanup_errors=True)


def _environment(ours: Mapping[str, str], temporary: str) -> dict[str, str]:
    """The worker's environment: quiet, offline, one thread on a CPU, nothing of this interpreter's paths."""
    kept = {name: value for name, value in ours.items() if name not in _NOT_PASSED_ON}
    return {"OMP_NUM_THREADS": "1", **kept, **_QUIET, "TMPDIR": temporary}


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
