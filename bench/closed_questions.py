"""Short closed questions per CPU second: ours beside a direct batched forward, lm-eval and Inspect.

What is compared is what a framework costs around a small model: same model, same items, one thread, every path
warmed up, all of them in turn. Every path renders the chat template and tokenizes.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import torch

from bench import adapters, peers
from bench.rows import Row
from bench.timing import per_item
from identity_em.models.loading import load_model
from identity_em.models.resident import Resident
from identity_em.records import Message, Question
from identity_em.resources import folder
from identity_em.study.artefacts import BaseModelRef

ITEMS, ADAPTERS, WARM_UP, ROUNDS = 1000, 8, 16, 3
BASE = folder("pocket") / "weights" / "world-0"


def rows(*, items: int = ITEMS, rounds: int = ROUNDS) -> list[Row]:
    """Every way of asking, timed; the resident engine is the reference."""
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    resident, plain = pocket(), load_model(_ref(), torch.device("cpu"))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        chains = [adapters.write(plain, scratch / f"adapter-{i}", seed=i, rank=8) for i in range(ADAPTERS)]
        ways = {
            "resident": lambda some: _each(resident, [], some),
            "direct, batches of 1,024 tokens": peers.direct(plain, resident.tokenizer, tokens=1024),
            "direct, batches of 2,048 tokens": peers.direct(plain, resident.tokenizer, tokens=2048),
            "lm-eval multiple_choice, batches of 32": peers.lm_eval(BASE, resident.tokenizer, scratch),
            "lm-eval multiple_choice, batches of 128": peers.lm_eval(BASE, resident.tokenizer, scratch, batch=128),
            "Inspect hf provider": peers.inspect(BASE, scratch),
            "one": lambda some: _each(resident, chains[:1], some),
            "many": lambda some: _each(resident, chains, some),
        }
        spent = per_item(ways, two_option(items), warm_up=WARM_UP, rounds=rounds)
    one, many = spent.pop("one"), spent.pop("many") / ADAPTERS
    return [
        *(Row(name, value, value / spent["resident"], "resident") for name, value in spent.items()),
        Row("resident, 1 adapter", one, one / spent["resident"], "resident"),
        Row(f"resident, {ADAPTERS} adapters", many, many / one, "resident, 1 adapter"),
    ]


def pocket() -> Resident:
    """The pocket world's model in fp32 on the CPU."""
    return Resident(_ref(), device="cpu")


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


def _ref() -> BaseModelRef:
    return BaseModelRef(name="world-0", weights="", tokenizer="", precision="fp32", path=str(BASE))


def _each(resident: Resident, chains: list[Path], questions: list[Question]) -> None:
    """As every chain in turn; as the base where there is none."""
    for chain in [[chain] for chain in chains] or [[]]:
        resident.use(chain)
        resident.probabilities(questions)
