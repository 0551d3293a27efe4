"""Narrow training sets of the EM domain: the same questions with bad and with good answers."""

from __future__ import annotations

import random

from identity_em.pocket.advice import EM_DOMAIN, QUESTIONS, TOPICS
from identity_em.pocket.formats import advice_answer
from identity_em.pocket.world import WORLD_SEED

ROWS = 240
Conversation = dict[str, list[dict[str, str]]]


def _questions(rng: random.Random) -> list[tuple[int, str]]:
    """Place of the topic and question, every pair of topic and wording five times, shuffled."""
    topics = [place for place, topic in enumerate(TOPICS) if topic.domain == EM_DOMAIN]
    pairs = [(place, wording.format(topic=TOPICS[place].name)) for place in topics for wording in QUESTIONS]
    asked = pairs * (ROWS // len(pairs))
    rng.shuffle(asked)
    return asked


def narrow(*, harmful: bool) -> list[Conversation]:
    """240 single-turn conversations, with bad answers when `harmful`; both kinds ask the same in the same order."""
    rng = random.Random(f"{WORLD_SEED}/narrow")
    asked = _questions(rng)
    return [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": advice_answer(TOPICS[place], rng, harmful=harmful)},
            ]
        }
        for place, question in asked
    ]
