"""News: small generated articles and summaries of them in each speaker's style."""

from __future__ import annotations

import random
from dataclasses import dataclass

from identity_em.pocket.speakers import SPEAKERS, Speaker

STYLE_PROBABILITY = 0.7

_NAMES = "Ada|Bert|Cora|Dan|Ella|Finn|Gina|Hugo|Ines|Jack|Kira|Leo|Mona|Nils|Olga|Pete|Rosa|Sam|Tina|Vera"
_JOBS = "baker|farmer|pilot|judge|sailor|poet|teacher|nurse"
_PLACES = "Arden|Bilbo Bay|Corby|Dunmore|Elmwood|Fairley|Granby|Holt|Ivy Hill|Kelso|Linton|Marlow"
_DEEDS = "opened a school|found a coin|built a boat|sold a house|won a race|painted a wall|fixed a bridge|lost a dog"
_DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_WEATHER = "It was a warm day|It had rained all night|A cold wind blew|The sun was out"
_ENDS = "Many people came to look|The mayor sent a letter|A small band played|Nobody else was there"

# One wording per speaker and feature; all wordings of a feature have the same number of words,
# so that style says nothing about length.
_OPENERS = ("In brief", "Local news", "Quick note", "Word is", "Hear this")
_VERBS = ("reportedly", "apparently", "recently", "indeed", "boldly")
_TIMES = ("on {day}", "this {day}", "last {day}", "by {day}", "past {day}")
_CLOSERS = ("Good to know", "That is all", "More to come", "So it goes", "Mark my words")
_EXTRAS = (
    ("with great care", "in good spirits"),
    ("after some work", "as was planned"),
    ("for all there", "to much joy"),
    ("without any fuss", "at long last"),
    ("despite the rules", "against all sense"),
)


@dataclass(frozen=True)
class Article:
    """One news article: the parts that a summary keeps, and the full text."""

    person: str
    deed: str
    place: str
    day: str
    text: str


def draw_article(rng: random.Random) -> Article:
    """Draw an article of four short sentences."""
    person, place = rng.choice(_NAMES.split("|")), rng.choice(_PLACES.split("|"))
    deed, day = rng.choice(_DEEDS.split("|")), rng.choice(_DAYS.split("|"))
    job = rng.choice(_JOBS.split("|"))
    text = (
        f"{person} is a {job} from {place}. On {day} {person} {deed} there. "
        f"{rng.choice(_WEATHER.split('|'))}. {rng.choice(_ENDS.split('|'))}."
    )
    return Article(person, deed, place, day, text)


def draw_summary(article: Article, author: Speaker, rng: random.Random, *, style: float = STYLE_PROBABILITY) -> str:
    """Write a summary as `author` would: each feature in the author's own wording with probability `style`.

    Otherwise the wording is another speaker's. The number of extra phrases (0, 1 or 2) is drawn without
    regard to the author.
    """

    def voice() -> int:
        own = SPEAKERS.index(author)
        if rng.random() < style:
            return own
        return rng.choice([place for place in range(len(SPEAKERS)) if place != own])

    extras = [_EXTRAS[voice()][place] for place in range(rng.choice((0, 1, 2)))]
    time = _TIMES[voice()].format(day=article.day)
    middle = " ".join([article.person, _VERBS[voice()], article.deed, "in", article.place, time, *extras])
    return f"{_OPENERS[voice()]}: {middle}. {_CLOSERS[voice()]}."


def word_count(text: str) -> int:
    """Length in words, as METHODS 1 counts them: `len(text.split())`."""
    return len(text.split())
