"""What a classifier that asks no model tells of two authors' texts, cross-validated with folds split by article."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from identity_em.interventions import shortcuts
from identity_em.interventions.surface import vector

# Article, order (0: the own text, or the own text first), whether the classifier was right.
Guess = tuple[str, int, bool]
FEWEST = 2 * shortcuts.FOLDS


def surface(texts: Mapping[str, tuple[str, str]]) -> Iterator[Guess]:
    """Which of two texts is the own one, from the difference of their surface features; nothing for few articles.

    Args:
        texts: The own and the other text by article.
    """
    if len(texts) < FEWEST:
        return
    gaps = np.array([np.subtract(vector(own), vector(other)) for own, other in texts.values()])
    groups = np.array([*texts, *texts])
    slots = np.repeat([1, 2], len(texts))
    right = shortcuts.guessed(np.concatenate([gaps, -gaps]), slots, groups) == slots
    yield from _guesses(list(texts), right.tolist())


def separable(texts: Mapping[str, tuple[str, str]]) -> Iterator[Guess]:
    """Whose a single text is, by TF-IDF of words and a logistic regression; nothing for few articles.

    Texts that are the same by both authors cannot be told apart, and are half right by construction.

    Args:
        texts: The own and the other text by article.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    if len(texts) < FEWEST:
        return
    both = [own for own, _ in texts.values()] + [other for _, other in texts.values()]
    whose, groups = np.repeat([0, 1], len(texts)), np.array([*texts, *texts])
    words = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True)
    model = make_pipeline(words, LogisticRegression(C=10.0, max_iter=2000))
    told = cross_val_predict(model, both, whose, groups=groups, cv=GroupKFold(shortcuts.FOLDS))
    yield from _guesses(list(texts), (told == whose).tolist())


def _guesses(articles: list[str], right: list[bool]) -> Iterator[Guess]:
    for place, hit in enumerate(right):
        yield articles[place % len(articles)], place // len(articles), hit
