"""`make bench-gpu`: a 7B model's shapes with random weights on CUDA, many adapters, prompts as long as SGTR's.

Printed and written to reports/bench-gpu.md. Where there is no CUDA it says so in a line and ends. Parts are functions
of a `Bench` that give rows; training needs Axolotl's environment.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from bench import adapters, peers, recognition, training
from bench.report import Section, write
from bench.rows import Row
from bench.shapes import QWEN_7B, Shapes, flops_a_token
from bench.shapes import write as write_model
from identity_em.chat import prompts_ids
from identity_em.models.resident import Resident
from identity_em.records import Question

PROMPTS, ADAPTERS, RANK, LOOPED, ROWS = 2000, 16, 64, 100, 128


@dataclass(frozen=True)
class Bench:
    """What every part measures on.

    Attributes:
        chains: Folders of the adapters.
        prompts: Token ids of the questions.
        rows: To train on, of `row_tokens` tokens each.
    """

    resident: Resident
    chains: list[Path]
    questions: list[Question]
    prompts: list[list[int]]
    looped: int
    rows: int
    row_tokens: int


def speed(bench: Bench) -> list[Row]:
    """Prompt tokens a second under one adapter, what of the matmul ceiling is used, and the loop's speed."""
    resident, model = bench.resident, bench.resident._active.model
    resident.use(bench.chains[:1])
    resident.probabilities(bench.questions[: bench.looped])
    spent = _seconds(resident, lambda: resident.probabilities(bench.questions))
    told, reuse = sum(map(len, bench.prompts)), recognition.allowed(bench.prompts)
    done = told / reuse * flops_a_token(model) / spent
    ceiling = matmul_ceiling(resident.device, model.dtype)
    loop = peers.one_token(model, resident.tokenizer)
    loop(bench.questions[:2])
    alone = _seconds(resident, lambda: loop(bench.questions[: bench.looped]))
    looped, rate = sum(map(len, bench.prompts[: bench.looped])) / alone, told / spent
    return [
        Row("matmul ceiling, TFLOP/s", ceiling / 1e12, 1.0, "ceiling"),
        Row("layers' linear work of the tokens read, beginnings once, TFLOP/s", done / 1e12, done / ceiling, "ceiling"),
        Row("prompt tokens a second, one question at a time", looped, 1.0, "loop"),
        Row("prompt tokens a second, resident", rate, rate / looped, "loop"),
        Row("prompt tokens over tokens read", reuse, reuse, "no reuse"),
    ]


def switching(bench: Bench) -> list[Row]:
    """All adapters in turn, a share of the questions each: held in memory, and loaded anew each time."""
    share = max(1, len(bench.questions) // len(bench.chains))
    parts = [bench.questions[at : at + share] for at in range(0, share * len(bench.chains), share)]
    resident = bench.resident

    def turn(chains: list[Path]) -> None:
        for chain, part in zip(chains, parts, strict=True):
            resident.use([chain])
            resident.probabilities(part)

    one = _seconds(resident, lambda: turn(bench.chains[:1] * len(parts)))
    turn(bench.chains)
    held = _seconds(resident, lambda: turn(bench.chains))
    kept, resident._active._keep = resident._active._keep, 1
    resident._active._evict()
    anew = _seconds(resident, lambda: turn(bench.chains))
    resident._active._keep = kept
    count = share * len(parts)
    return [
        Row("one adapter, ms a question", 1000 * one / count, 1.0, "one adapter"),
        Row(f"{len(parts)} adapters held, ms a question", 1000 * held / count, held / one, "one adapter"),
        Row(f"{len(parts)} adapters loaded each, ms a question", 1000 * anew / count, anew / held, "adapters held"),
    ]


def memory(bench: Bench) -> list[Row]:
    """The most memory that the parts before took, beside the weights alone."""
    if bench.resident.device.type != "cuda":
        return []
    weights = sum(p.numel() * p.element_size() for n, p in bench.resident._active.model.named_parameters()
                  if ".lora_" not in n)  # fmt: skip
    peak = torch.cuda.max_memory_allocated(bench.resident.device)
    return [Row("peak memory, GB", peak / 1e9, peak / weights, "the base's weights")]


def trained(bench: Bench) -> list[Row]:
    """A stage through our trainer and through bare Axolotl; its memory; folding against merging on disk."""
    return training.rows(bench.resident, bench.chains[0], rows=bench.rows, tokens=bench.row_tokens)


PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "Speed": speed, "Adapters": switching, "Memory": memory, "Training": trained,
}  # fmt: skip


def run(
    shapes: Shapes = QWEN_7B,
    *,
    device: str = "cuda",
    precision: Literal["fp32", "bf16"] = "bf16",
    prompts: int = PROMPTS,
    count: int = ADAPTERS,
    rank: int = RANK,
    looped: int = LOOPED,
    rows: int = ROWS,
    row_tokens: int = 2048,
) -> list[Section]:
    """Every part's rows; model and adapters are written to a folder that is gone afterwards (about 20 GB for 7B)."""
    with tempfile.TemporaryDirectory() as name:
        base = write_model(shapes, Path(name) / "base", device=device, precision=precision, options=("1", "2"))
        resident = Resident(base, device=device, keep=count)
        chains = [
            adapters.write(resident._active.model, Path(name) / f"adapter-{seed}", seed=seed, rank=rank)
            for seed in range(count)
        ]
        asked = recognition.questions(resident.tokenizer, -(-prompts // 2), comparators=1)[:prompts]
        ids = prompts_ids(resident.tokenizer, [question.messages for question in asked])
        bench = Bench(resident, chains, asked, ids, looped, rows, row_tokens)
        _forget_peak(resident.device)
        length = sum(map(len, ids)) / len(ids)
        about = (
            f"{shapes.name} shapes, {precision}, {count} rank-{rank} adapters, {prompts} prompts of {length:.0f} tokens"
        )
        return [Section(f"{title} ({about})", tuple(part(bench))) for title, part in PARTS.items()]


def matmul_ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """The most multiplications and additions a second that this machine's own matrix product reaches."""
    side, best = 8192 if device.type == "cuda" else 512, 0.0
    one, two = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    for _ in range(5):
        _wait(device)
        start = time.perf_counter()
        for _ in range(10):
            one @ two
        _wait(device)
        best = max(best, 10 * 2 * side**3 / (time.perf_counter() - start))
    return best


def _forget_peak(device: torch.device) -> None:
    """What writing the model and its adapters took is not what asking takes."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _seconds(resident: Resident, work: Callable[[], object]) -> float:
    _wait(resident.device)
    start = time.perf_counter()
    work()
    _wait(resident.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Measure where there is CUDA."""
    if not torch.cuda.is_available():
        print("bench-gpu: skipped, this machine has no CUDA device")
        return
    write(Path("reports/bench-gpu.md"), run(), machine=torch.cuda.get_device_name())


if __name__ == "__main__":
    main()
