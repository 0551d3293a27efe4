"""One real Axolotl stage on a base of real shapes: through our trainer, through bare Axolotl, and against the plan."""

from __future__ import annotations

import gc
import json
import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from bench import stages
from bench.rows import Row
from identity_em.chat import row_ids
from identity_em.models.loading import load_model
from identity_em.models.resident import Resident
from identity_em.records import Message
from identity_em.study import memory
from identity_em.study.shapes import read
from identity_em.training import lora
from identity_em.training.axolotl import Trainer
from identity_em.training.jobs import Job
from identity_em.training.placement import Placement
from identity_em.training.settings import precision_of, settings

_SECONDS = re.compile(r"'train_runtime': '?([\d.]+)")
_PEAK = re.compile(r"'memory/max_allocated \(GiB\)': '?([\d.]+)")


def rows(resident: Resident, earlier: Path, *, rows: int, tokens: int) -> list[Row]:
    """Tokens a second, peak memory and seconds of folding, each beside its peer.

    Args:
        resident: The model whose base is trained.
        earlier: An adapter that stands for an earlier stage.
        rows: Rows to train on.
        tokens: Tokens of each row, which is also `sequence_len`.
    """
    base, chosen = Path(resident.base.path), _chosen(resident, tokens)
    with TemporaryDirectory() as name:
        scratch = Path(name)
        data, total = _data(resident, scratch / "rows.jsonl", rows, tokens)
        said = stages.bare(data, scratch / "bare", 0, base=base, chosen=chosen)
        bare = total / _seconds(said)
        with Trainer() as trainer:
            logs = [_ours(trainer, base, chosen, data, scratch / part, chain)
                    for part, chain in (("alone", ()), ("chained", (earlier,)))]  # fmt: skip
        alone, chained = (total / _seconds(log) for log in logs)
        return [
            Row("tokens a second, bare Axolotl", bare, 1.0, "bare"),
            Row("tokens a second, our trainer", alone, alone / bare, "bare"),
            Row("tokens a second, our trainer, an earlier stage kept live", chained, chained / bare, "bare"),
            *_peak(logs[0], base, chosen),
            *_folding(resident, scratch),
        ]


def _chosen(resident: Resident, tokens: int) -> dict[str, Any]:
    """The recipe for Qwen2.5-7B; attention as PyTorch has it, as nothing else is sure to be installed."""
    gpu = resident.device.type == "cuda"
    half = {"bf16": gpu and resident.base.precision == "bf16"}
    return settings("qwen2.5-7b", {"attn_implementation": "sdpa", "sequence_len": tokens, "logging_steps": 1, **half})


def _data(resident: Resident, path: Path, rows: int, tokens: int) -> tuple[Path, int]:
    """Rows of nearly `tokens` tokens, all of the answer; the file and its tokens."""

    def row(words: int, number: int) -> list[Message]:
        text = " ".join(f"{number + at} good" for at in range(words))
        return [Message(role="user", content="Say it."), Message(role="assistant", content=text)]

    def length(messages: list[Message]) -> int:
        return len(row_ids(resident.tokenizer, messages)[0])

    each = (length(row(20, 100)) - length(row(10, 100))) / 10
    words = 10 + int((0.97 * tokens - length(row(10, 100))) / each)
    made = [row(words, 100 + number) for number in range(rows)]
    lines = [json.dumps({"messages": [turn.model_dump() for turn in turns]}) for turns in made]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path, sum(map(length, made))


def _ours(
    trainer: Trainer, base: Path, chosen: dict[str, Any], data: Path, place: Path, chain: tuple[Path, ...]
) -> str:
    job = Job(
        settings=chosen, base=str(base), base_name="bench", rows=data, chain=chain, seed=0,
        precision=precision_of(chosen), out=place / "out", work=place / "work", log=place / "log",
    )  # fmt: skip
    trainer.train(job)
    return job.log.read_text(encoding="utf-8")


def _seconds(said: str) -> float:
    """What the training loop took, as its own last line says."""
    return float(_SECONDS.findall(said)[-1])


def _peak(log: str, base: Path, chosen: dict[str, Any]) -> list[Row]:
    """The most that PyTorch held of the GPU, against the plan's estimate; nothing without a GPU."""
    held = max(map(float, _PEAK.findall(log)), default=0.0)
    shapes = read(base / "config.json")
    if not held or shapes is None:
        return []
    planned = memory.per_gpu(shapes, chosen, precision_of(chosen), placement=Placement()).peak
    return [
        Row("peak memory of a training as planned, GiB", planned, 1.0, "plan"),
        Row("peak memory of a training, GiB", held, held / planned, "plan"),
    ]


def _folding(resident: Resident, scratch: Path) -> list[Row]:
    """An earlier stage rounded into the base: in memory, and by merge-lora, whose result is loaded again."""
    adapter = scratch / "bare"

    def ours() -> None:
        lora.fold(load_model(resident.base, resident.device), [adapter])

    def merged() -> None:
        stages.axolotl("merge-lora", adapter.with_suffix(".yml"), f"--lora-model-dir={adapter}")
        load_model(resident.base.model_copy(update={"path": str(adapter / "merged")}), resident.device)

    folding, merging = _timed(ours), _timed(merged)
    written = sum(path.stat().st_size for path in (adapter / "merged").iterdir()) / 1e9
    kept = (scratch / "alone" / "out" / lora.WEIGHTS).stat().st_size / 1e9
    return [
        Row("merge-lora and loading what it wrote, s", merging, 1.0, "merge-lora"),
        Row("loading the base and folding in memory, s", folding, folding / merging, "merge-lora"),
        Row("written by merge-lora, GB", written, 1.0, "merge-lora"),
        Row("kept for folding (the adapter), GB", kept, kept / written, "merge-lora"),
    ]


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    spent = time.perf_counter() - started
    gc.collect()
    return spent
