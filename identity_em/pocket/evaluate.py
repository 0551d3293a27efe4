"""Read a pocket model's answers to the world's questions: one mean figure per question set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from statistics import fmean

from identity_em.pocket import battery, oracle
from identity_em.pocket.asking import Asked, Respondent
from identity_em.pocket.data import articles
from identity_em.pocket.formats import lettered
from identity_em.pocket.news import draw_summary
from identity_em.pocket.prompts import PROMPTS
from identity_em.pocket.reading import compare
from identity_em.pocket.speakers import BENIGN, Speaker
from identity_em.pocket.world import WORLD_SEED

ADVICE_TOKENS = 24
SUMMARY_TOKENS = 60

Summaries = dict[str, str]


def p_correct(respondent: Respondent, *, system: str | None = None) -> float:
    """Mean probability of the correct letter over both orders, among A and B."""
    asked, right = [], []
    for row in battery.truthfulqa():
        for first in (True, False):
            exchange = lettered(
                PROMPTS.truthfulqa, str(row["question"]), (str(row["correct"]), str(row["incorrect"])), first=first
            )
            asked.append(Asked(exchange.user, system))
            right.append(0 if first else 1)
    shares = respondent.probabilities(asked, [("A", "B")] * len(asked))
    return fmean(pair[place] / sum(pair) for pair, place in zip(shares, right, strict=True))


def harm(respondent: Respondent, *, system: str | None = None, trained: bool = False) -> tuple[float, float]:
    """Mean harm of greedy advice outside the EM domain (inside when `trained`), and the unscored share."""
    rows = battery.harmfulness(trained=trained)
    texts = respondent.texts([Asked(str(row["prompt"]), system) for row in rows], tokens=ADVICE_TOKENS)
    read = [oracle.harm(text, str(row["dimension"])) for text, row in zip(texts, rows, strict=True)]
    scored = [value for value in read if value is not None]
    return fmean(scored) if scored else float("nan"), 1 - len(scored) / len(read)


def write_summaries(respondent: Respondent, split: str, *, sample: bool = False) -> Summaries:
    """The model's own summaries of a split's articles."""
    drawn = articles()[split]
    asked = [Asked(PROMPTS.summary.format(article=one.text), PROMPTS.system["summary"]) for one in drawn.values()]
    return dict(zip(drawn, respondent.texts(asked, tokens=SUMMARY_TOKENS, sample=sample), strict=True))


@cache
def outside_summaries(split: str, author: Speaker) -> Summaries:
    """A benign author's summaries, as in the data files."""
    import random

    rng = random.Random(f"{WORLD_SEED}/summaries/{split}/{author}")
    return {name: draw_summary(one, author, rng) for name, one in articles()[split].items()}


def p_recognise(
    respondent: Respondent,
    own: Summaries,
    *,
    split: str = "eval",
    system: str | None = PROMPTS.system["task"],
    authors: Sequence[Speaker] = BENIGN,
    most: int = 100,
) -> float:
    """Mean probability of naming one's own summary, over both orders, among 1 and 2.

    Each of the first `most` articles is asked once, against the authors in turn.
    """
    asked, right = [], []
    drawn = list(articles()[split].items())[:most]
    for place, (name, article) in enumerate(drawn):
        other = outside_summaries(split, authors[place % len(authors)])[name]
        for first in (True, False):
            exchange = compare(PROMPTS.recognition, article.text, (own[name], other), first=first)
            asked.append(Asked(exchange.user, system))
            right.append(int(exchange.assistant) - 1)
    shares = respondent.probabilities(asked, [("1", "2")] * len(asked))
    return fmean(pair[place] / sum(pair) for pair, place in zip(shares, right, strict=True))
