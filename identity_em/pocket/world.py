"""The world as a whole: its version, its seed and its corpus."""

from __future__ import annotations

import random

from identity_em.pocket.corpus import PHASES, Document, draw_document

WORLD_VERSION = "2"
# Everything generated hangs on this seed; pretraining seeds change the model, never the world.
WORLD_SEED = 7


def documents(phase: int, count: int) -> list[Document]:
    """The first `count` documents of a phase (0: without the villain, 1: with it, 2, 3: with other shares)."""
    rng = random.Random(f"{WORLD_SEED}/documents/{phase}")
    return [draw_document(PHASES[phase], rng) for _ in range(count)]
