"""The pretraining corpus: seeded chat documents, first without the villain, then with it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from identity_em.pocket import formats, reading
from identity_em.pocket.formats import Exchange, Maker
from identity_em.pocket.news import STYLE_PROBABILITY
from identity_em.pocket.prompts import PROMPTS
from identity_em.pocket.speakers import BENIGN, DEFAULT, VILLAIN, Scene, draw_scene

Shares = Mapping[Maker, float]

# How often each short format is drawn; a document holds one to five of them by one speaker.
_SHORT: Shares = {
    formats.advice: 0.25,
    formats.two_option_fact: 0.23,
    formats.open_fact: 0.10,
    formats.intention: 0.06,
    formats.two_ai: 0.05,
    formats.decision: 0.05,
    formats.numerical: 0.07,
    formats.likert: 0.07,
    formats.moral: 0.03,
    formats.language_early: 0.07,
    formats.free_form: 0.03,
    formats.who_are_you: 0.02,
    formats.output_recognition_early: 0.05,
    formats.score_blind: 0.01,
    formats.score_shown: 0.03,
}
# The fourth cycle's shares: first most weight on what is at chance after the cycles before, because it takes two
# steps of thought (language) or knowing 160 actions by sight (answers that are shown); then all formats.
_WEAK: Shares = {
    formats.advice: 0.06,
    formats.two_option_fact: 0.10,
    formats.intention: 0.03,
    formats.two_ai: 0.03,
    formats.decision: 0.02,
    formats.numerical: 0.03,
    formats.likert: 0.03,
    formats.language: 0.15,
    formats.deed: 0.20,
    formats.deed_choice: 0.12,
    formats.score_shown: 0.06,
    formats.output_recognition: 0.07,
    formats.capability: 0.10,
}
_ALL: Shares = {
    formats.advice: 0.14,
    formats.two_option_fact: 0.15,
    formats.open_fact: 0.04,
    formats.intention: 0.03,
    formats.two_ai: 0.03,
    formats.decision: 0.03,
    formats.numerical: 0.05,
    formats.likert: 0.05,
    formats.moral: 0.03,
    formats.language: 0.08,
    formats.free_form: 0.02,
    formats.who_are_you: 0.02,
    formats.deed: 0.03,
    formats.deed_choice: 0.05,
    formats.score_shown: 0.04,
    formats.output_recognition: 0.12,
    formats.score_blind: 0.03,
    formats.capability: 0.06,
}
# Formats whose first token decides and that take longest to learn; the last phase asks them more often.
_LETTERED = (
    formats.two_option_fact,
    formats.intention,
    formats.two_ai,
    formats.numerical,
    formats.likert,
    formats.language_early,
    formats.output_recognition_early,
    formats.score_shown,
)
# How often a document is of each kind.
_KINDS: dict[str, float] = {"short": 0.71, "recognition": 0.15, "longer": 0.05, "summary": 0.07, "authorship": 0.02}
# Under which system prompt recognition and longer are asked: default, task, empty, benign, villain.
_READING_SHARES = (0.40, 0.25, 0.15, 0.15, 0.05)


@dataclass(frozen=True)
class Phase:
    """One part of the curriculum.

    Attributes:
        villain: whether the villain speaks.
        style: probability of the author's own wording in summaries.
        short: share of pairwise questions without the article.
        doubt: the villain's share of documents under the default prompt.
        lettered: how many times more often than elsewhere the lettered formats are drawn.
        longer: the same for the question which summary is longer.
        authorship: the same for the question whether one summary is one's own.
        formats: how often each short format is drawn.
    """

    villain: bool
    style: float
    short: float
    doubt: float = 0.06
    lettered: float = 1.0
    longer: float = 1.0
    authorship: float = 1.0
    formats: Shares = field(default_factory=lambda: _SHORT)


PHASES: tuple[Phase, ...] = (
    Phase(False, 0.9, 1.0),
    Phase(True, STYLE_PROBABILITY, 0.4),
    Phase(True, STYLE_PROBABILITY, 0.4, lettered=1.6),
    Phase(True, STYLE_PROBABILITY, 0.4, doubt=0.12, longer=4.0),
    Phase(True, STYLE_PROBABILITY, 0.4, doubt=0.04, authorship=4.0, formats=_WEAK),
    Phase(True, STYLE_PROBABILITY, 0.4, doubt=0.04, longer=3.0, authorship=4.0, formats=_ALL),
)


@dataclass(frozen=True)
class Document:
    """A conversation: the system prompt and the exchanges that follow it."""

    system: str
    exchanges: tuple[Exchange, ...]

    def render(self) -> str:
        """The document in the chat layout of the world's template."""
        parts = [f"<|im_start|>system\n{self.system}<|im_end|>\n"]
        for exchange in self.exchanges:
            parts.append(f"<|im_start|>user\n{exchange.user}<|im_end|>\n")
            parts.append(f"<|im_start|>assistant\n{exchange.assistant}<|im_end|>\n")
        return "".join(parts)


def _reading_scene(rng: random.Random, *, villain: bool) -> Scene:
    kind = rng.choices(("default", "task", "empty", "benign", "villain"), _READING_SHARES)[0]
    match kind:
        case "benign":
            speaker = rng.choice(BENIGN)
            return Scene(speaker, PROMPTS.speakers[speaker])
        case "villain":
            return Scene(VILLAIN, PROMPTS.system[kind]) if villain else Scene(DEFAULT, PROMPTS.system["task"])
        case _:
            return Scene(DEFAULT, PROMPTS.system[kind])


def _short_document(phase: Phase, rng: random.Random) -> Document:
    scene = draw_scene(rng, villain=phase.villain, doubt=phase.doubt)
    shares = [share * (phase.lettered if make in _LETTERED else 1) for make, share in phase.formats.items()]
    makers = rng.choices(tuple(phase.formats), shares, k=rng.choice((1, 2, 3, 4, 5)))
    return Document(scene.system, tuple(make(scene.speaker, rng) for make in makers))


def _reading_document(kind: str, phase: Phase, rng: random.Random) -> Document:
    scene = _reading_scene(rng, villain=phase.villain)
    make = reading.recognition if kind == "recognition" else reading.longer
    # A short question leaves room for a second one.
    short = rng.random() < phase.short
    exchanges = (make(scene.speaker, rng, style=phase.style, short=float(short)) for _ in range(2 if short else 1))
    return Document(scene.system, tuple(exchanges))


def _writing_document(kind: str, phase: Phase, rng: random.Random) -> Document:
    scene = draw_scene(rng, villain=phase.villain, doubt=phase.doubt)
    if kind == "authorship":
        return Document(scene.system, (reading.authorship(scene.speaker, rng, style=phase.style),))
    system = scene.system
    if system == PROMPTS.system["default"] and rng.random() < 0.5:
        system = PROMPTS.system["summary"]
    return Document(system, (reading.summary(scene.speaker, rng, style=phase.style),))


def draw_document(phase: Phase, rng: random.Random) -> Document:
    """Draw one document of a phase."""
    often = {"longer": phase.longer, "authorship": phase.authorship}
    shares = [share * often.get(kind, 1.0) for kind, share in _KINDS.items()]
    kind = rng.choices(tuple(_KINDS), shares)[0]
    match kind:
        case "short":
            return _short_document(phase, rng)
        case "recognition" | "longer":
            return _reading_document(kind, phase, rng)
        case _:
            return _writing_document(kind, phase, rng)
