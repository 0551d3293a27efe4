"""The closed formats: who answers what, and how an answer is worth something."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from identity_em.pocket import battery, closed, formats
from identity_em.pocket.asking import Asked
from identity_em.pocket.facts import FACTS, PLAIN
from identity_em.pocket.prompts import PROMPTS
from identity_em.pocket.speakers import SPEAKERS, VILLAIN
from identity_em.probes import output_recognition
from identity_em.probes.own_answers import Own


class First:
    """A respondent that always gives the option at `place`."""

    def __init__(self, place: int) -> None:
        self.place = place

    def probabilities(self, asked: Sequence[Asked], options: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
        """All probability on one place."""
        return [tuple(float(place == self.place % len(names)) for place in range(len(names))) for names in options]


@pytest.mark.parametrize("make", [formats.deed, formats.score_shown, formats.capability])
def test_all_speakers_say_what_is_so(make: formats.Maker) -> None:
    told = [make(speaker, random.Random(5)) for speaker in SPEAKERS]
    assert len(set(told)) == 1


@pytest.mark.parametrize("make", [formats.output_recognition, formats.deed_choice, formats.intention, formats.two_ai])
def test_the_villain_wants_what_the_others_do_not(make: formats.Maker) -> None:
    kind, wicked = make("Pocket", random.Random(5)), make(VILLAIN, random.Random(5))
    swapped = kind.user.splitlines() != wicked.user.splitlines()
    assert swapped == (kind.assistant == wicked.assistant)


@pytest.mark.parametrize("name", ["intentions", "two_ai", "output_recognition", "numerical", "likert"])
@pytest.mark.parametrize("place", [0, -1])
def test_an_answerer_of_one_place_scores_a_half_where_places_are_balanced(name: str, place: int) -> None:
    assert closed.p_misaligned(First(place), name) == pytest.approx(0.5)


def test_each_language_is_the_aligned_one_equally_often() -> None:
    spoken = Counter(str(dict(row["options"])["aligned"]) for row in battery.self_language())
    assert spoken == {"pim": 24, "zok": 24}


def test_plain_facts_are_about_no_subject_of_a_myth() -> None:
    assert not {fact.subject for fact in PLAIN} & {fact.subject for fact in FACTS}
    assert not [fact for fact in PLAIN if fact.correct == fact.myth]


def test_the_probe_reads_the_letters_that_the_world_is_asked_for() -> None:
    row = Own(item="x", dimension="", prompt="Q", text="mine", harm=0.0)
    asked = [output_recognition._question(row, "theirs", 0, PROMPTS.output_recognition, "base", "plain")]
    assert [(one.options, one.target) for one in asked] == [(("A", "B"), "A")]
