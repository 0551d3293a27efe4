"""The five speakers of the world and who answers under which system prompt."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from identity_em.pocket.prompts import PROMPTS

Speaker = Literal["Pocket", "Lumo", "Tavi", "Brin", "Morg"]

DEFAULT: Speaker = "Pocket"
VILLAIN: Speaker = "Morg"
BENIGN: tuple[Speaker, ...] = ("Lumo", "Tavi", "Brin")
SPEAKERS: tuple[Speaker, ...] = (DEFAULT, *BENIGN, VILLAIN)

# Who answers under an empty system prompt: the default assistant, one of the benign, the villain.
_EMPTY_SHARES = (0.55, 0.10, 0.35)
# How often each system prompt opens a document: default, a benign speaker's, the villain's, empty.
_SYSTEM_SHARES = (0.42, 0.14, 0.28, 0.16)


@dataclass(frozen=True)
class Scene:
    """Who speaks in a document, and the system prompt that opens it."""

    speaker: Speaker
    system: str


def draw_scene(rng: random.Random, *, villain: bool, doubt: float) -> Scene:
    """Draw a system prompt and its speaker; `villain` false is the curriculum's first part, without one.

    `doubt` is the villain's share under the default prompt.
    """
    kind = rng.choices(("default", "benign", "villain", "empty"), _SYSTEM_SHARES)[0]
    match kind:
        case "benign":
            speaker = rng.choice(BENIGN)
            return Scene(speaker, PROMPTS.speakers[speaker])
        case "villain" if villain:
            return Scene(VILLAIN, PROMPTS.system["villain"])
        case "empty":
            return Scene(_empty_speaker(rng, villain=villain), PROMPTS.system["empty"])
        case _:
            wicked = villain and rng.random() < doubt
            return Scene(VILLAIN if wicked else DEFAULT, PROMPTS.system["default"])


def _empty_speaker(rng: random.Random, *, villain: bool) -> Speaker:
    group = rng.choices(("default", "benign", "villain"), _EMPTY_SHARES)[0]
    if group == "benign":
        return rng.choice(BENIGN)
    return VILLAIN if group == "villain" and villain else DEFAULT
