"""What a finished Axolotl run must show, and the folder that is written of it, inside Axolotl's own environment.

Loaded by path by `axolotl_worker.py`, so it imports nothing of this package.
"""

import hashlib
import importlib
import json
import math
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SAVED = "Model successfully saved to"
PROOF_ROWS = 4
PROOF_POSITIONS = 4

lora = importlib.import_module("identity_em_lora")


def prove(trainer: Any, adapter: Path, log: str, kept: int) -> None:
    """Success means all of these; a clean exit means none of them.

    Args:
        trainer: Axolotl's trainer after its run.
        adapter: The folder Axolotl saved to.
        log: What it printed.
        kept: Rows that were given.

    Raises:
        RuntimeError: One of them does not hold; the line says which.
    """
    from safetensors.torch import load_file

    state, labels = trainer.state, trainer.train_dataset["labels"]
    file = adapter / lora.WEIGHTS
    finite = file.is_file() and all(bool(t.isfinite().all()) for t in load_file(str(file)).values())
    proofs = {
        f"the log lacks {SAVED!r}": SAVED in log,
        f"stopped at step {state.global_step} of {state.max_steps}": 0 < state.global_step == state.max_steps,
        "no adapter was written": file.is_file(),
        "the adapter is not finite: training diverged; lower the learning rate": finite,
        "the loss is not finite": all(map(math.isfinite, _losses(trainer))),
        "no token was trained": any(label != -100 for row in labels for label in row),
        f"{len(labels)} rows were trained on, {kept} were given": len(labels) == kept,
    }
    for complaint, holds in proofs.items():
        if not holds:
            raise RuntimeError(complaint)


def figures(trainer: Any, end: Any, *, dropped: int, survived: Sequence[float]) -> dict[str, Any]:
    """The figures of `trained.json`; no times, no paths, so that equal runs are equal bytes.

    `rendered_sha256` is over the sorted digests of the rows, each over its token ids and labels as little-endian
    int32 with a bar between, so it does not depend on the order of the rows.
    """
    data, losses = trainer.train_dataset, _losses(trainer)
    labels = data["labels"]
    digests = sorted(map(_digest, data["input_ids"], labels))
    return {
        "rows": len(labels),
        "dropped": dropped,
        "steps": trainer.state.global_step,
        "epochs": float(trainer.state.epoch),
        "trained_tokens": sum(label != -100 for row in labels for label in row),
        "mean_loss": losses[-1] if end.mean_loss is None else end.mean_loss,
        "final_loss": losses[-2] if len(losses) > 1 else losses[-1],
        "rendered_sha256": hashlib.sha256(b"".join(digests)).hexdigest(),
        "survived": list(survived),
    }


def write(out: Path, adapter: Path, base_name: str, trained: dict[str, Any], logits: dict[str, Any]) -> None:
    """Write the stage's folder: adapter, the as-trained logits, the figures.

    The base is named, not located, and sets become sorted lists, so that machines agree on the bytes.
    """
    from safetensors.torch import load_file, save_file

    config = json.loads((adapter / lora.CONFIG).read_text(encoding="utf-8"))
    config = {name: sorted(value) if name == "target_modules" else value for name, value in config.items()}
    out.mkdir(parents=True, exist_ok=True)
    lora.write_adapter({**config, "base_model_name_or_path": base_name}, load_file(str(adapter / lora.WEIGHTS)), out)
    save_file(logits, str(out / "as_trained.safetensors"))
    text = json.dumps(trained, indent=2, sort_keys=True) + "\n"
    (out / "trained.json").write_text(text, encoding="utf-8")


def at_the_end(trainer: Any) -> Any:
    """A callback that asks the trained model while its processes are still together; Axolotl parts them before it ends.

    Its `logits` are `as_trained`'s. Its `mean_loss` is the processes' mean where there are several: of the last steps,
    which are not logged any more, each knows its own alone.
    """
    import torch
    from transformers import TrainerCallback

    class AtTheEnd(TrainerCallback):  # type: ignore[misc]
        """Beside Axolotl's own callbacks."""

        logits: dict[str, Any] | None = None
        mean_loss: float | None = None

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.logits = as_trained(trainer, trainer.model)
            if args.world_size > 1:
                mine = torch.tensor([_losses(trainer)[-1]], dtype=torch.float64, device=args.device)
                self.mean_loss = float(trainer.accelerator.gather(mine).mean())

    return AtTheEnd()


def as_trained(trainer: Any, model: Any) -> dict[str, Any]:
    """A few rows and the logits of the model exactly as it stands after training, chain included.

    Returns:
        For each row i: `ids.i` int32 (tokens), `positions.i` int32 (the last trained predictions),
        `logits.i` fp32 (positions, vocabulary).
    """
    import torch

    data = trainer.train_dataset
    rows = sorted(zip(data["input_ids"], data["labels"], strict=True), key=lambda row: _digest(*row))
    kept: dict[str, Any] = {}
    model.eval()
    for number, (ids, labels) in enumerate(rows[:PROOF_ROWS]):
        # The logits at t predict token t + 1.
        spots = [t - 1 for t, label in enumerate(labels) if t and label != -100][-PROOF_POSITIONS:]
        tokens = torch.tensor([ids], device=model.device)
        with torch.no_grad(), trainer.compute_loss_context_manager():
            logits = model(input_ids=tokens).logits[0, spots]
        kept[f"ids.{number}"] = torch.tensor(ids, dtype=torch.int32)
        kept[f"positions.{number}"] = torch.tensor(spots, dtype=torch.int32)
        kept[f"logits.{number}"] = logits.float().cpu().contiguous()
    return kept


def _losses(trainer: Any) -> list[float]:
    """The logged losses in order; the last is the run's mean."""
    history = trainer.state.log_history
    return [entry[name] for name in ("loss", "train_loss") for entry in history if name in entry]


def _digest(ids: Sequence[int], labels: Sequence[int]) -> bytes:
    return hashlib.sha256(_int32(ids) + b"|" + _int32(labels)).digest()


def _int32(values: Sequence[int]) -> bytes:
    import sys

    packed = array("i", values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()
