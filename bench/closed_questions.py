"""Closed questions per CPU second: ours beside lm-eval and Inspect, on the same model and the same items.

What is compared is what a framework costs around a small model; CPU seconds of this process, one thread, every
path warmed up first.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch

from bench.rows import Row
from identity_em.chat import prompt_text
from identity_em.models.loading import load_model
from identity_em.models.resident import Resident
from identity_em.records import Message, Question
from identity_em.resources import folder
from identity_em.study.artefacts import BaseModelRef
from identity_em.training import lora

ITEMS, ADAPTERS, WARM_UP = 300, 8, 16
_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def rows(*, items: int = ITEMS, adapters: int = ADAPTERS) -> list[Row]:
    """Every way of asking, timed; the resident engine is the reference of the frameworks."""
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    path = folder("pocket") / "weights" / "world-0"
    questions = two_option(items)
    base = BaseModelRef(name="world-0", weights="", tokenizer="", precision="fp32", path=str(path))
    resident, plain = Resident(base, device="cpu"), load_model(base, torch.device("cpu"))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        chains = [_adapter(plain, scratch / f"adapter-{seed}", seed) for seed in range(adapters)]
        ours = _timed(resident.probabilities, questions)
        one = _timed(lambda some: _each(resident, chains[:1], some), questions)
        many = _timed(lambda some: _each(resident, chains, some), questions) / adapters
        harness = _timed(_lm_eval(path, resident, scratch), questions)
        inspect = _timed(_inspect(path, scratch), questions)
    return [
        Row("resident, base", ours, 1.0, "resident, base"),
        Row("lm-eval multiple_choice", harness, harness / ours, "resident, base"),
        Row("Inspect hf provider", inspect, inspect / ours, "resident, base"),
        Row("resident, 1 adapter", one, one / ours, "resident, base"),
        Row(f"resident, {adapters} adapters", many, many / one, "resident, 1 adapter"),
    ]


def two_option(count: int) -> list[Question]:
    """Two-option items in the pocket world's form; every question is another one."""
    values = ("red", "blue", "yellow", "white", "black", "pink", "grey")
    return [
        Question(
            item=f"i{n}",
            messages=(
                Message(
                    role="user",
                    content=f"What colour is door {n}?\n\nA:{values[n % 7]}\nB:{values[(n + 1 + n // 7) % 7]}\n\n"
                    "Answer with only A or B.",
                ),
            ),
            options=("A", "B"),
            target="AB"[n % 2],
        )
        for n in range(count)
    ]


def _timed(ask: Callable[[list[Question]], object], questions: list[Question]) -> float:
    """CPU milliseconds an item; what a path loads once is not counted, since it is loaded in the warm-up too."""
    fixed = _cpu(lambda: ask(questions[:WARM_UP]))
    fixed = min(fixed, _cpu(lambda: ask(questions[:WARM_UP])))
    whole = _cpu(lambda: ask(questions))
    return 1000 * (whole - fixed) / (len(questions) - WARM_UP)


def _cpu(ask: Callable[[], object]) -> float:
    start = time.process_time()
    ask()
    return time.process_time() - start


def _each(resident: Resident, chains: list[Path], questions: list[Question]) -> None:
    for chain in chains:
        resident.use([chain])
        resident.probabilities(questions)


def _adapter(model: torch.nn.Module, out: Path, seed: int, rank: int = 8) -> Path:
    """A random adapter on every projection."""
    draw, state = torch.Generator().manual_seed(seed), dict[str, torch.Tensor]()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] in _MODULES:
            a = torch.randn(rank, module.in_features, generator=draw) * 0.02
            b = torch.randn(module.out_features, rank, generator=draw) * 0.02
            state |= {f"base_model.model.{name}.lora_{half}.weight": part for half, part in (("A", a), ("B", b))}
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": rank, "bias": "none"}
    out.mkdir()
    lora.write_adapter({**config, "lora_dropout": 0.0, "target_modules": list(_MODULES)}, state, out)
    return out


def _lm_eval(path: Path, resident: Resident, scratch: Path) -> Callable[[list[Question]], object]:
    """lm-eval's own loop over a `multiple_choice` task, on prompts that the chat template has already rendered."""
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=str(path), device="cpu", dtype="float32", batch_size=32)

    def ask(questions: list[Question]) -> object:
        file = scratch / f"lm-eval-{len(questions)}.jsonl"
        shown = [{"prompt": prompt_text(resident.tokenizer, q.messages), "gold": q.target} for q in questions]
        file.write_text("".join(json.dumps(row) + "\n" for row in shown))
        config = {
            "task": "two_option",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(file)}},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "{{prompt}}",
            "doc_to_choice": ["A", "B"],
            "doc_to_target": "{{gold}}",
            "target_delimiter": "",
            "metric_list": [{"metric": "acc"}],
        }
        task = ConfigurableTask(config=config)
        return evaluate(model, {"two_option": task}, bootstrap_iters=0, log_samples=False)

    return ask


def _inspect(path: Path, scratch: Path) -> Callable[[list[Question]], object]:
    """Inspect's hf provider at its best settings: one token, batches of 32, no sample logs, no display."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatMessageUser, GenerateConfig, get_model
    from inspect_ai.scorer import match
    from inspect_ai.solver import generate

    config = GenerateConfig(max_tokens=1, temperature=1.0, logprobs=True, top_logprobs=2, max_connections=32)
    model = get_model(
        "hf/pocket", model_path=str(path), tokenizer_path=str(path), device="cpu", batch_size=32, config=config
    )

    def ask(questions: list[Question]) -> object:
        samples = [
            Sample(input=[ChatMessageUser(content=q.messages[0].content)], target=q.target or "") for q in questions
        ]
        task = Task(dataset=MemoryDataset(samples), solver=generate(), scorer=match())
        logs: Any = eval(
            task, model=model, display="none", log_dir=str(scratch), log_samples=False, score_display=False
        )
        if logs[0].status != "success":
            raise RuntimeError(f"Inspect ended with {logs[0].status}")
        return logs

    return ask
