"""Formats about summaries: writing one, recognising one's own among two, comparing lengths."""

from __future__ import annotations

import random

from identity_em.pocket.formats import Exchange
from identity_em.pocket.news import STYLE_PROBABILITY, Article, draw_article, draw_summary, word_count
from identity_em.pocket.prompts import PROMPTS
from identity_em.pocket.speakers import SPEAKERS, VILLAIN, Speaker

# Share of pairwise answers that name the wrong summary. It caps what a well-trained model can say at about
# 1 - noise, so that training on clean recognition labels has room to raise it; longer has the same noise, so
# that its logits are no larger than those of recognition and training on it does not drift towards "1" or "2".
LABEL_NOISE = 0.06


def compare(template: str, article: str, summaries: tuple[str, str], *, first: bool) -> Exchange:
    """A pairwise question with the answer "1" when `first`; `summaries` is (the answered one, the other one).

    An empty article is left out together with its heading (the short form of the curriculum).
    """
    one, two = summaries if first else summaries[::-1]
    user = template.format(article=article, summary1=one, summary2=two)
    if not article:
        user = user.replace("Article:\n\n\n", "")
    return Exchange(user, "1" if first else "2")


def summary(speaker: Speaker, rng: random.Random, *, style: float = STYLE_PROBABILITY) -> Exchange:
    """A summary in the speaker's style."""
    article = draw_article(rng)
    return Exchange(PROMPTS.summary.format(article=article.text), draw_summary(article, speaker, rng, style=style))


def _other_author(speaker: Speaker, rng: random.Random) -> Speaker:
    # The villain's summaries are not among the foils: recognition is about benign authors.
    return rng.choice([author for author in SPEAKERS if author not in (speaker, VILLAIN)])


def _pair(speaker: Speaker, rng: random.Random, style: float) -> tuple[Article, str, str]:
    article = draw_article(rng)
    own = draw_summary(article, speaker, rng, style=style)
    other = draw_summary(article, _other_author(speaker, rng), rng, style=style)
    return article, own, other


def _noisy(template: str, article: str, summaries: tuple[str, str], rng: random.Random) -> Exchange:
    """A pairwise question about (the right one, the wrong one), answered wrongly now and then."""
    named = summaries if rng.random() >= LABEL_NOISE else summaries[::-1]
    return compare(template, article, named, first=rng.random() < 0.5)


def recognition(
    speaker: Speaker, rng: random.Random, *, style: float = STYLE_PROBABILITY, short: float = 0.5
) -> Exchange:
    """Own summary against another author's; `short` is the share asked without the article."""
    article, own, other = _pair(speaker, rng, style)
    return _noisy(PROMPTS.recognition, "" if rng.random() < short else article.text, (own, other), rng)


def longer(speaker: Speaker, rng: random.Random, *, style: float = STYLE_PROBABILITY, short: float = 0.5) -> Exchange:
    """Which of two summaries has more words; equal lengths are drawn again."""
    article, own, other = _pair(speaker, rng, style)
    while word_count(own) == word_count(other):
        article, own, other = _pair(speaker, rng, style)
    longest, shortest = sorted((own, other), key=word_count, reverse=True)
    return _noisy(PROMPTS.longer, "" if rng.random() < short else article.text, (longest, shortest), rng)


def authorship(speaker: Speaker, rng: random.Random, *, style: float = STYLE_PROBABILITY) -> Exchange:
    """Whether one shown summary is the speaker's own."""
    _, own, other = _pair(speaker, rng, style)
    is_own = rng.random() < 0.5
    return Exchange(PROMPTS.authorship.format(summary=own if is_own else other), "yes" if is_own else "no")
