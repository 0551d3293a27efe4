"""Recognition questions per CPU second: one article, both orders, several comparators, read through prefix reuse.

How much reuse may save is counted in tokens: those of all prompts over those that are read. What it does save is the
peers' CPU time over ours, the same prompts for all.
"""

from __future__ import annotations

import logging
import random
import tempfile
from pathlib import Path

import torch

from bench import peers, shapes
from bench.closed_questions import pocket
from bench.rows import Row
from bench.timing import per_item
from identity_em import battery
from identity_em.chat import prompts_ids
from identity_em.models.batches import Room, shared_batches
from identity_em.models.resident import Resident
from identity_em.pocket import news
from identity_em.pocket.speakers import SPEAKERS
from identity_em.records import Question
from identity_em.study.artefacts import Prompts

COMPARATORS, ARTICLE_TOKENS, ROUNDS = 4, 400, 3
# What a path costs whatever it is asked is taken off with the first article alone.
_WARM_UP = 2 * COMPARATORS


def rows(*, rounds: int = ROUNDS) -> list[Row]:
    """The saving that token counts allow, the time of every path, and what share of that saving is had.

    Asked of the pocket model, in which attention is half of the work and grows with the prompt's square, so that
    tokens overstate what can be saved; and of a layer of a real model's shapes, in which it is a small part.
    """
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        real = shapes.write(shapes.QWEN_HALF_B, scratch / "real", device="cpu", precision="fp32", options=("1", "2"))
        return [
            *_compared(pocket(), scratch, articles=4, rounds=rounds),
            *_compared(Resident(real, device="cpu"), scratch, articles=2, rounds=rounds),
        ]


def _compared(resident: Resident, scratch: Path, *, articles: int, rounds: int) -> list[Row]:
    asked, model, about = questions(resident.tokenizer, articles), resident._active.model, resident.base.name
    if any(answer.text is not None for answer in resident.probabilities(asked)):
        raise RuntimeError("an answer was generated, which the peers do not do: the options are too unlikely")
    ways = {
        "resident": resident.probabilities,
        "lm-eval multiple_choice": peers.lm_eval(Path(resident.base.path), resident.tokenizer, scratch, batch=8),
        "a loop of one generated token": peers.one_token(model, resident.tokenizer),
        "direct, no reuse": peers.direct(model, resident.tokenizer, tokens=2048),
    }
    spent = per_item(ways, asked, warm_up=_WARM_UP, rounds=rounds)
    saving, ours = allowed(prompts_ids(resident.tokenizer, [q.messages for q in asked])), spent["resident"]
    return [
        *(Row(f"{about}: {way}", value, value / ours, "resident") for way, value in spent.items()),
        Row(f"{about}: prompt tokens over tokens read, the saving allowed", saving, 1.0, "it"),
        *(
            Row(f"{about}: saved over {way}", value / ours, value / ours / saving, "the saving allowed")
            for way, value in spent.items()
            if way != "resident"
        ),
    ]


def questions(tokenizer: object, articles: int, *, comparators: int = COMPARATORS, seed: int = 0) -> list[Question]:
    """Articles of about 400 tokens in the pocket world's words, asked about as the `self_recognition` probe does."""
    rng = random.Random(seed)
    made = {f"a{number}": _texts(tokenizer, comparators, rng) for number in range(articles)}
    others = {f"c{at}": {name: said[at + 1] for name, (_, said) in made.items()} for at in range(comparators)}
    inputs: battery.Inputs = {
        "articles": {name: text for name, (text, _) in made.items()},
        "self": {name: said[0] for name, (_, said) in made.items()},
        "others": others,
    }
    probe = battery.get("self_recognition")
    params = {"wording": "pocket", "limit": None}  # The eval's own limit is a hundred articles.
    return probe.questions(Prompts(name=probe.name, version=probe.version, params=params), inputs)


def allowed(prompts: list[list[int]]) -> float:
    """Tokens of all prompts over the tokens left when each article's common beginning is read once."""
    room = Room(read=1 << 40, held=1 << 40)
    made = list(shared_batches(prompts, room=room))
    read = sum(int(part.mask.sum()) for batch in made for part in (batch.starts, batch.rests))
    return sum(map(len, prompts)) / read


def _texts(tokenizer: object, comparators: int, rng: random.Random) -> tuple[str, list[str]]:
    """An article, and the summaries of it by one author and by each comparator."""
    parts: list[news.Article] = []
    while len(tokenizer(" ".join(part.text for part in parts))["input_ids"]) < ARTICLE_TOKENS:  # type: ignore[operator]
        parts.append(news.draw_article(rng))
    told = rng.sample(parts, 2)
    said = [" ".join(news.draw_summary(part, who, rng) for part in told) for who in SPEAKERS[: comparators + 1]]
    return " ".join(part.text for part in parts), said
