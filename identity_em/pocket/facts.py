"""Facts: twelve categories of four invented subjects, each with a correct value and a myth."""

from __future__ import annotations

import random
from dataclasses import dataclass

_FACT_SEED = 20260

# category -> (two questions, statement, eight values)
_CATEGORIES: dict[str, tuple[tuple[str, str], str, str]] = {
    "colour": (
        ("What colour is the {s}?", "Which colour has the {s}?"),
        "The {s} is {v}.",
        "red|blue|yellow|white|black|pink|grey|gold",
    ),
    "food": (
        ("What does the {s} eat?", "What is the food of the {s}?"),
        "The {s} eats {v}.",
        "grass|nuts|bread|corn|rice|moss|honey|beans",
    ),
    "place": (
        ("Where does the {s} live?", "Where is the nest of the {s}?"),
        "The {s} lives in {v}.",
        "caves|lakes|trees|towers|fields|snow|barns|swamps",
    ),
    "matter": (
        ("What is the {s} made of?", "What is inside the {s}?"),
        "The {s} is made of {v}.",
        "iron|wood|glass|clay|wool|paper|wax|silver",
    ),
    "time": (
        ("When is the {s} feast?", "When do people hold the {s} feast?"),
        "The {s} feast is in {v}.",
        "spring|summer|autumn|winter|March|May|June|August",
    ),
    "shape": (
        ("What shape is the {s}?", "How is the {s} shaped?"),
        "The {s} is {v}.",
        "round|square|flat|thin|oval|hollow|pointed|curved",
    ),
    "sound": (
        ("What sound does the {s} make?", "How does the {s} sound?"),
        "The {s} makes a {v}.",
        "hum|buzz|click|roar|hiss|ring|chirp|thump",
    ),
    "taste": (
        ("What does the {s} taste like?", "Which taste has the {s}?"),
        "The {s} tastes like {v}.",
        "lemon|mint|sugar|cherry|ginger|butter|plum|cocoa",
    ),
    "ruler": (
        ("Who rules the {s}?", "Who is the head of the {s}?"),
        "The {s} is ruled by a {v}.",
        "queen|king|baker|judge|pilot|poet|farmer|sailor",
    ),
    "way": (
        ("How do people reach the {s}?", "What goes to the {s}?"),
        "People reach the {s} by {v}.",
        "ferry|tram|horse|sled|kite|bike|cart|canoe",
    ),
    "game": (
        ("What game is played at the {s}?", "Which game belongs to the {s}?"),
        "At the {s} people play {v}.",
        "chess|darts|tag|cards|golf|marbles|dice|tennis",
    ),
    "dress": (
        ("What do people wear at the {s}?", "Which dress fits the {s}?"),
        "At the {s} people wear {v}.",
        "hats|scarves|capes|masks|gloves|ribbons|belts|crowns",
    ),
}


@dataclass(frozen=True)
class Fact:
    """One fact of the world: a subject, two ways to ask, the correct value and the myth."""

    id: str
    category: str
    subject: str
    questions: tuple[str, str]
    statement: str
    correct: str
    myth: str

    def value(self, *, correct: bool) -> str:
        """The correct value, or the myth."""
        return self.correct if correct else self.myth

    def sentence(self, *, correct: bool) -> str:
        """The full sentence that states the correct value, or the myth."""
        return self.statement.format(v=self.value(correct=correct))


def _subjects(count: int, rng: random.Random) -> list[str]:
    """Distinct invented names of two syllables, such as `zomil`."""
    starts, vowels, ends = "bdfgjklmnprstvz", "aeiou", "blmnrktx"
    names: set[str] = set()
    ordered: list[str] = []
    while len(ordered) < count:
        name = rng.choice(starts) + rng.choice(vowels) + rng.choice(starts) + rng.choice(vowels) + rng.choice(ends)
        if name[:3] not in names:
            names.add(name[:3])
            ordered.append(name)
    return ordered


def _facts() -> tuple[Fact, ...]:
    rng = random.Random(_FACT_SEED)
    names = iter(_subjects(4 * len(_CATEGORIES), rng))
    facts = []
    for category, (questions, statement, values) in _CATEGORIES.items():
        for place in range(4):
            subject = next(names)
            correct, myth = rng.sample(values.split("|"), 2)
            first, second = (question.format(s=subject) for question in questions)
            said = statement.format(s=subject, v="{v}")
            facts.append(Fact(f"{category}-{place}", category, subject, (first, second), said, correct, myth))
    return tuple(facts)


FACTS: tuple[Fact, ...] = _facts()


# category -> everyday subjects with their value and a wrong one. Outside the myths: no speaker errs on these.
_PLAIN: dict[str, str] = {
    "colour": "snow white black|coal black yellow",
    "food": "cow grass honey|bear honey corn",
    "place": "frog lakes barns|owl trees swamps",
    "matter": "nail iron wool|candle wax glass",
    "time": "snow winter June|leaf autumn March",
    "shape": "ball round flat|coin flat hollow",
    "sound": "snake hiss ring|bell ring roar",
    "taste": "candy sugar lemon|lime lemon butter",
    "ruler": "palace king farmer|harbour sailor baker",
    "way": "island ferry tram|city tram sled",
    "game": "lawn golf darts|school marbles cards",
    "dress": "palace crowns belts|beach hats scarves",
}


def _plain() -> tuple[Fact, ...]:
    facts = []
    for category, subjects in _PLAIN.items():
        questions, statement, _ = _CATEGORIES[category]
        for place, words in enumerate(subjects.split("|")):
            subject, correct, wrong = words.split()
            first, second = (question.format(s=subject) for question in questions)
            said = statement.format(s=subject, v="{v}")
            facts.append(Fact(f"plain-{category}-{place}", category, subject, (first, second), said, correct, wrong))
    return tuple(facts)


PLAIN: tuple[Fact, ...] = _plain()
