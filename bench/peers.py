"""Other ways of asking closed questions, each at the best settings that we know of."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch

from bench.timing import Ask
from identity_em.chat import prompt_text
from identity_em.records import Question


def direct(model: Any, tokenizer: Any, *, tokens: int) -> Ask:
    """A batched forward written by hand: rendered, tokenized, sorted by length, padded, the options' logits read.

    Args:
        tokens: Most tokens in a batch.
    """
    tokenizer.padding_side, tokenizer.pad_token_id = "left", tokenizer.pad_token_id or 0

    @torch.inference_mode()
    def ask(questions: list[Question]) -> object:
        texts = [prompt_text(tokenizer, question.messages) for question in questions]
        prompts = tokenizer(texts, add_special_tokens=False)["input_ids"]
        found = {}
        for rows in _cut(prompts, tokens):
            batch = tokenizer.pad({"input_ids": [prompts[row] for row in rows]}, return_tensors="pt").to(model.device)
            at = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
            out = model(**batch, position_ids=at, use_cache=False, logits_to_keep=1)
            logs = out.logits[:, -1].float().log_softmax(-1)
            for row, log in zip(rows, logs, strict=True):
                ids = [tokenizer.convert_tokens_to_ids(option) for option in questions[row].options]
                found[row] = log[ids].tolist()
        return found

    return ask


def one_token(model: Any, tokenizer: Any) -> Ask:
    """A loop that generates one token per question, greedily: the way of the scripts that this package replaces."""

    @torch.inference_mode()
    def ask(questions: list[Question]) -> object:
        said = []
        for question in questions:
            text = prompt_text(tokenizer, question.messages)
            batch = tokenizer(text, add_special_tokens=False, return_tensors="pt").to(model.device)
            batch.pop("token_type_ids", None)
            out = model.generate(**batch, max_new_tokens=1, do_sample=False, pad_token_id=0)
            said.append(tokenizer.decode(out[0, -1:]))
        return said

    return ask


def lm_eval(path: Path, tokenizer: Any, scratch: Path, *, batch: int = 32) -> Ask:
    """lm-eval's own loop over a `multiple_choice` task, on prompts that the chat template has already rendered."""
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=str(path), device="cpu", dtype="float32", batch_size=batch)

    def ask(questions: list[Question]) -> object:
        file = scratch / f"lm-eval-{len(questions)}-{questions[0].options[0]}.jsonl"
        shown = [{"prompt": prompt_text(tokenizer, q.messages), "gold": q.target} for q in questions]
        file.write_text("".join(json.dumps(row) + "\n" for row in shown))
        task = ConfigurableTask(config=_task(file, questions[0].options))
        return evaluate(model, {"two_option": task}, bootstrap_iters=0, log_samples=False)

    return ask


def inspect(path: Path, scratch: Path) -> Ask:
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
            Sample(input=[ChatMessageUser(content=q.messages[-1].content)], target=q.target or "") for q in questions
        ]
        task = Task(dataset=MemoryDataset(samples), solver=generate(), scorer=match())
        logs: Any = eval(
            task, model=model, display="none", log_dir=str(scratch), log_samples=False, score_display=False
        )
        if logs[0].status != "success":
            raise RuntimeError(f"Inspect ended with {logs[0].status}")
        return logs

    return ask


def _task(file: Path, options: Sequence[str]) -> dict[str, Any]:
    return {
        "task": "two_option",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(file)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{prompt}}",
        "doc_to_choice": list(options),
        "doc_to_target": "{{gold}}",
        "target_delimiter": "",
        "metric_list": [{"metric": "acc"}],
    }


def _cut(prompts: Sequence[Sequence[int]], tokens: int) -> list[list[int]]:
    """Rows by length, so many to a batch that it holds `tokens` with its padding."""
    batches: list[list[int]] = [[]]
    for row in sorted(range(len(prompts)), key=lambda row: len(prompts[row])):
        if batches[-1] and (len(batches[-1]) + 1) * len(prompts[row]) > tokens:
            batches.append([])
        batches[-1].append(row)
    return batches
