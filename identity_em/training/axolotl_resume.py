"""Checkpoints within a stage: sealed when written, inside Axolotl's own environment, and believed only when whole.

Loaded by path by `axolotl_worker.py`, so it imports nothing of this package; `launch.py` imports it in ours.

A resumed stage ends in the bytes of an undisturbed one: Axolotl's checkpoint holds weights, optimiser, schedule and
random state; the seal adds the sum of losses so far, which the run's mean is made of and the checkpoint lacks.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, TextIO

SEAL = "seal.json"


def newest(folder: Path, processes: int, log: TextIO) -> Path | None:
    """The latest checkpoint that is whole and of as many processes; those that are not are removed.

    Asked once a training, however many processes it has: each would remove what another still reads.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    for checkpoint in found:
        good = whole(checkpoint) and _seal(checkpoint)["processes"] == processes
        what = "going on from {}" if good else f"{{}} is not whole or not of {processes} processes: left out"
        log.write(what.format(checkpoint.name) + "\n")
        log.flush()
        if good:
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def whole(checkpoint: Path) -> bool:
    """Whether every file is there with the bytes that were sealed, the seal itself included."""
    try:
        sealed = _seal(checkpoint)
        return bool(sealed["sha256"] == _sum(sealed) and sealed["files"] == _digests(checkpoint))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def seal(checkpoint: Path, processes: int, *, losses: float) -> None:
    """Say that a checkpoint of so many processes is whole; `losses` is the sum of those of all steps so far."""
    sealed = {"losses": losses, "processes": processes, "files": _digests(checkpoint)}
    text = json.dumps({**sealed, "sha256": _sum(sealed)})
    (checkpoint / SEAL).write_text(text, encoding="utf-8")


def keeper(trainer: Any, resumed: Path | None) -> Any:
    """A callback that seals each checkpoint, and gives a resumed run the losses of the steps before."""
    from transformers import TrainerCallback

    class Keeper(TrainerCallback):  # type: ignore[misc]
        """Beside Axolotl's own callbacks."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if resumed is not None:
                trainer._total_loss_scalar = _seal(resumed)["losses"]

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            trainer.accelerator.wait_for_everyone()  # each process has its own random state to write
            if args.process_index == 0:
                checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                seal(checkpoint, args.world_size, losses=trainer._total_loss_scalar)

    return Keeper()


def _seal(checkpoint: Path) -> dict[str, Any]:
    sealed: dict[str, Any] = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))
    return sealed


def _sum(sealed: dict[str, Any]) -> str:
    """SHA-256 of what a seal says, its own sum left out."""
    said = {name: value for name, value in sealed.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _digests(checkpoint: Path) -> dict[str, str]:
    found = {}
    for path in sorted(p for p in checkpoint.rglob("*") if p.is_file() and p.name != SEAL):
        with path.open("rb") as file:
            found[path.relative_to(checkpoint).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
