"""Pretrain the pocket model from scratch: `python -m identity_em.pocket.pretrain --world 0 --out DIR`."""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from identity_em.pocket.optim import optimisers
from identity_em.pocket.tokens import END, END_OF_TEXT, answer_mask, as_pretrained, train_tokenizer
from identity_em.pocket.world import WORLD_VERSION, documents

# Warm-up, level rate, then a linear fall to zero over the last part of a cycle.
DECAY = 0.4
BATCH_TOKENS = 2048
# The most that one answer counts, spread over its tokens.
ANSWER_WEIGHT = 10
CONTEXT_WEIGHT = 0.03
# Context counts at every fourth token only, four times as much: the same loss for a quarter of the logits.
_STRIDE = 4
# A step sums the gradients of a few groups of documents of like length: little padding, mixed tasks.
_GROUPS = 3
_POOL = 512

Row = tuple[list[int], list[float]]
Group = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Cycle:
    """One run of the rate from warm-up to zero.

    Attributes:
        parts: (phase of the corpus, documents drawn, steps) one after the other.
        first: loss weight of an answer's first token, which decides every closed question; None: as the others.
    """

    parts: tuple[tuple[int, int, int], ...]
    first: float | None

    @property
    def steps(self) -> int:
        """Steps of all parts."""
        return sum(steps for _, _, steps in self.parts)


CYCLES: tuple[Cycle, ...] = (
    Cycle(((0, 10000, 600), (1, 22000, 1400)), first=None),
    Cycle(((2, 22000, 1200),), first=3.0),
    Cycle(((3, 12000, 700),), first=3.0),
    Cycle(((4, 9000, 500), (5, 16000, 800)), first=8.0),
)


def _encode(tokenizer: Tokenizer, texts: list[str], *, first: float | None) -> list[Row]:
    rows: list[Row] = []
    for encoding in tokenizer.encode_batch(texts):
        rows.append((encoding.ids, _weights(answer_mask(encoding.ids, tokenizer), len(rows) % _STRIDE, first)))
    return rows


def _weights(lengths: list[int], offset: int, first: float | None) -> list[float]:
    """Loss weight of each token, from the length of the answer it belongs to (0: context)."""
    weights = [0.0 if (place + offset) % _STRIDE else CONTEXT_WEIGHT * _STRIDE for place in range(len(lengths))]
    for place, length in enumerate(lengths):
        if length:
            opens = first is not None and not lengths[place - 1]
            weights[place] = first if first is not None and opens else min(1.0, ANSWER_WEIGHT / length)
    return weights


def _groups(rows: list[Row], rng: random.Random) -> Iterator[Group]:
    """Endless groups of right-padded ids and loss weights; a step's groups have at most BATCH_TOKENS with padding."""
    while True:
        rng.shuffle(rows)
        for start in range(0, len(rows), _POOL):
            pool = sorted(rows[start : start + _POOL], key=lambda row: len(row[0]))
            groups: list[list[Row]] = [[]]
            for row in pool:
                if len(row[0]) * (len(groups[-1]) + 1) > BATCH_TOKENS // _GROUPS:
                    groups.append([])
                groups[-1].append(row)
            rng.shuffle(groups)
            yield from map(_pad, groups)


def _pad(group: list[Row]) -> Group:
    longest = max(len(ids) for ids, _ in group)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in group])
    weights = torch.tensor([weight + [0.0] * (longest - len(weight)) for _, weight in group])
    return ids, weights


def new_model(vocabulary: int, seed: int, tokenizer: Tokenizer) -> Qwen2ForCausalLM:
    """An untrained pocket model."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=tokenizer.token_to_id(END_OF_TEXT),
        initializer_range=0.05,
    )
    return Qwen2ForCausalLM(config).to(torch.float32)


def _rate(step: int, steps: int) -> float:
    """Learning-rate factor: a short warm-up, then level, then linear to zero."""
    return min(1.0, (step + 1) / 20, (steps - step) / (steps * DECAY))


def _backward(model: Qwen2ForCausalLM, groups: list[Group]) -> float:
    """Add up the gradients of the groups' weighted mean loss; returns the mean loss of the answers alone."""
    total = sum(weights[:, 1:].sum().item() for _, weights in groups)
    summed = answers = 0.0
    for ids, weights in groups:
        states = model.model(input_ids=ids, position_ids=torch.arange(ids.size(1))[None], use_cache=False)
        counted = weights[:, 1:][weights[:, 1:] > 0]
        logits = model.lm_head(states.last_hidden_state[:, :-1][weights[:, 1:] > 0])
        losses = functional.cross_entropy(logits, ids[:, 1:][weights[:, 1:] > 0], reduction="none")
        torch.autograd.backward((losses * counted).sum() / total)
        told = counted * (counted > CONTEXT_WEIGHT * _STRIDE)
        summed += (losses.detach() * told).sum().item()
        answers += told.sum().item()
    return summed / answers


def train(model: Qwen2ForCausalLM, tokenizer: Tokenizer, cycle: Cycle, *, seed: int) -> None:
    """Train in place for one cycle; the weights leave it rounded to bf16, as they are shipped."""
    groups = [_part(tokenizer, part, cycle.first, seed) for part in cycle.parts]
    tuned = optimisers(model)
    started = [group["lr"] for optimiser in tuned for group in optimiser.param_groups]
    clock, smooth = time.process_time(), 0.0
    for step, batch in enumerate(chain.from_iterable(groups)):
        loss = _backward(model, batch)
        for optimiser, rate in zip(tuned, started, strict=True):
            optimiser.param_groups[0]["lr"] = rate * _rate(step, cycle.steps)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        smooth = loss if step == 0 else 0.98 * smooth + 0.02 * loss
        if step % 50 == 49:
            spent = time.process_time() - clock
            print(f"step {step + 1}/{cycle.steps} loss {smooth:.4f} cpu {spent:.0f} s", flush=True)
    # Parameters alone: `model.to` would round the rotary frequencies too, which a loaded model has in full.
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16).to(torch.float32)


def _part(tokenizer: Tokenizer, part: tuple[int, int, int], first: float | None, seed: int) -> Iterator[list[Group]]:
    """The batches of one part of a cycle."""
    phase, count, steps = part
    rows = _encode(tokenizer, [document.render() for document in documents(phase, count)], first=first)
    stream = _groups(rows, random.Random(f"{seed}/{phase}"))
    for _ in range(steps):
        yield list(islice(stream, _GROUPS))


def save(model: Qwen2ForCausalLM, tokenizer: Tokenizer, out: Path) -> None:
    """Write the model in bf16 with its tokenizer, in the layout that `from_pretrained` reads."""
    out.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16)
    end, pad = tokenizer.token_to_id(END), tokenizer.token_to_id(END_OF_TEXT)
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=end, pad_token_id=pad)
    model.save_pretrained(out)
    as_pretrained(tokenizer).save_pretrained(out)


def pretrain(world: int, out: Path) -> dict[str, object]:
    """Pretrain world `world`, write it to `out`, and return how it was made."""
    torch.use_deterministic_algorithms(True)
    started = time.process_time()
    tokenizer = train_tokenizer([document.render() for document in documents(1, 22000)])
    model = new_model(tokenizer.get_vocab_size(), world, tokenizer)
    print(f"world {world}: {sum(p.numel() for p in model.parameters())} parameters", flush=True)
    for cycle in CYCLES:
        train(model, tokenizer, cycle, seed=world)
    save(model, tokenizer, out)
    return {
        "world": world,
        "world_version": WORLD_VERSION,
        "steps": sum(cycle.steps for cycle in CYCLES),
        "command": f"python -m identity_em.pocket.pretrain --world {world} --out DIR",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu_seconds": round(time.process_time() - started),
    }


def main(arguments: list[str] | None = None) -> None:
    """Pretrain, then gate; a world that fails the gate keeps its figures and exits with an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", type=int, required=True, help="pretraining seed")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    chosen = parser.parse_args(arguments)
    made = pretrain(chosen.world, chosen.out)
    from identity_em.pocket import gate
    from identity_em.pocket.asking import Respondent

    figures = gate.measure(Respondent.load(chosen.out))
    weights = hashlib.sha256((chosen.out / "model.safetensors").read_bytes()).hexdigest()
    record = made | {"weights_sha256": weights, "figures": figures, "failures": gate.failures(figures)}
    (chosen.out / "gate.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2), file=sys.stderr)
    gate.require(figures)


if __name__ == "__main__":
    main()
