"""What can be told from a recognition dataset's surface alone: simple rules, and a classifier that never saw a model.

Every share comes with an interval over articles, not over rows: the two orders of a pair are one observation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from identity_em.interventions import surface
from identity_em.records import Record

FOLDS = 5
_CONFIDENCE = 0.95
# Enough articles for a stable estimate; fitting more only takes longer.
_MOST_GROUPS = 3000


class Share(Record):
    """A share with its 95 % interval, 0..1.

    Attributes:
        n: Independent observations (articles).
    """

    share: float
    low: float
    high: float
    n: int

    @property
    def off_chance(self) -> bool:
        """Whether the interval leaves .5 out."""
        return not self.low <= 0.5 <= self.high


class Shortcut(Record):
    """One way to answer without knowing anyone's identity.

    Attributes:
        name: The rule, or the features of the classifier.
        predicts: `identity` (the own summary's slot) or `label` (what is trained).
    """

    name: str
    kind: str
    predicts: str
    right: Share


class TextRow(Record):
    """What of a row with one text and a closed answer a shortcut may see: the text, and the label to be guessed."""

    group: str
    text: str
    label: str


class PairRow(Record):
    """What of a row a shortcut may see, and what it has to guess.

    Attributes:
        group: Rows of one group (an article) are one observation.
        first: Text shown first; second: text shown second.
        own: Slot of the own summary, None where unknown.
        label: The slot that is trained.
    """

    group: str
    first: str
    second: str
    own: int | None = None
    label: int = Field(ge=1, le=2)


def wilson(right: float, n: int) -> Share:
    """A share of n observations with its Wilson interval."""
    from scipy.stats import norm

    if n == 0:
        return Share(share=0.0, low=0.0, high=1.0, n=0)
    p, z = right / n, float(norm.ppf(0.5 + _CONFIDENCE / 2))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)
    return Share(share=p, low=max(0.0, middle - half), high=min(1.0, middle + half), n=n)


def rules(rows: Sequence[PairRow]) -> list[Shortcut]:
    """How often each rule finds the own summary, and the label; a tie counts as wrong."""
    first = _measured([row.first for row in rows])
    second = _measured([row.second for row in rows])
    found: list[Shortcut] = []
    for what, slots in _targets(rows).items():
        known = slots > 0
        for name, (feature, sign) in surface.RULES.items():
            gap = sign * (first[feature] - second[feature])
            right = np.where(gap > 0, slots == 1, np.where(gap < 0, slots == 2, False))[known]
            found.append(_shortcut(name, "rule", what, right, [r.group for r, k in zip(rows, known, strict=True) if k]))
        right = (slots == 1)[known]
        groups = [r.group for r, k in zip(rows, known, strict=True) if k]
        found.append(_shortcut("always the first", "rule", what, right, groups))
    return found


def classifiers(rows: Sequence[PairRow]) -> list[Shortcut]:
    """Cross-validated logistic regressions on the difference of the two texts, folds split by article."""
    kept = _thinned(rows)
    groups = np.array([row.group for row in kept])
    if len(set(groups)) < 2 * FOLDS:
        return []
    vectors = {t: np.array(surface.vector(t)) for row in kept for t in (row.first, row.second)}
    gaps = np.array([vectors[row.first] - vectors[row.second] for row in kept])
    names = list(surface.FEATURES)
    length = [names.index(name) for name in surface.LENGTH]
    features: dict[str, Any] = {
        "length": gaps[:, length],
        "surface": gaps,
        "first token": _bags(kept, first_only=True),
        "lexical": _bags(kept, first_only=False),
    }
    return [
        _shortcut(name, "classifier", what, guessed(x, slots, groups) == slots, list(groups))
        for what, slots in _targets(kept).items()
        if (slots > 0).all() and len(set(slots)) == 2
        for name, x in features.items()
    ]


def of_labels(rows: Sequence[TextRow]) -> list[Shortcut]:
    """The commonest label, and classifiers of single texts, for sets whose answers are labels and no slots."""
    groups = [row.group for row in rows]
    labels = np.array([row.label for row in rows])
    names, counts = np.unique(labels, return_counts=True)
    commonest = _shortcut("the commonest answer", "rule", "label", labels == names[counts.argmax()], groups)
    if len(names) < 2 or counts.min() < FOLDS or len(set(groups)) < 2 * FOLDS:
        return [commonest]
    vectors = np.array([surface.vector(row.text) for row in rows])
    length = [list(surface.FEATURES).index(name) for name in surface.LENGTH]
    features: dict[str, Any] = {
        "length": vectors[:, length],
        "surface": vectors,
        "first token": _words([surface.first_token(row.text) for row in rows]),
        "lexical": _words([row.text for row in rows]),
    }
    told = {name: guessed(x, labels, np.array(groups), intercept=True) for name, x in features.items()}
    return [commonest, *(_shortcut(n, "classifier", "label", g == labels, groups) for n, g in told.items())]


def _words(texts: Sequence[str]) -> Any:
    from sklearn.feature_extraction.text import CountVectorizer

    try:
        return CountVectorizer(binary=True, min_df=2, token_pattern=r"\w+|[^\w\s]", dtype=np.float64).fit_transform(
            texts
        )
    except ValueError:  # no word occurs twice
        return np.zeros((len(texts), 1))


def _targets(rows: Sequence[PairRow]) -> dict[str, NDArray[np.int64]]:
    """What is to be guessed: identity where it is known, and the label where it is not the same thing."""
    own = np.array([row.own or 0 for row in rows])
    label = np.array([row.label for row in rows])
    found = {"identity": own} if own.any() else {}
    return found if own.any() and (own == label).all() else {**found, "label": label}


def _measured(texts: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
    used = {feature for feature, _ in surface.RULES.values()}
    return {name: np.array([float(surface.FEATURES[name](text)) for text in texts]) for name in used}


def _shortcut(name: str, kind: str, what: str, right: NDArray[np.bool_], groups: Sequence[str]) -> Shortcut:
    share = float(right.mean()) if len(right) else 0.0
    n = len(set(groups))
    return Shortcut(name=name, kind=kind, predicts=what, right=wilson(share * n, n))


def _thinned(rows: Sequence[PairRow]) -> Sequence[PairRow]:
    groups = list(dict.fromkeys(row.group for row in rows))
    step = -(-len(groups) // _MOST_GROUPS)
    chosen = set(groups[::step])
    return [row for row in rows if row.group in chosen]


def _bags(rows: Sequence[PairRow], *, first_only: bool) -> Any:
    """Words of the first text less those of the second, as a sparse matrix."""
    from sklearn.feature_extraction.text import CountVectorizer

    pick = surface.first_token if first_only else str
    firsts, seconds = [pick(row.first) for row in rows], [pick(row.second) for row in rows]
    counter = CountVectorizer(binary=True, min_df=2, token_pattern=r"\w+|[^\w\s]", dtype=np.float64)
    try:
        counter.fit([*firsts, *seconds])
    except ValueError:  # no word occurs twice
        return np.zeros((len(rows), 1))
    return counter.transform(firsts) - counter.transform(seconds)


def guessed(x: Any, slots: NDArray[Any], groups: NDArray[np.str_], *, intercept: bool = False) -> NDArray[Any]:
    """What a logistic regression says of each row that it was not fitted on, folds split by group."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # No intercept for pairs: exchanging the two texts exchanges the answer, so there is nothing for one to learn.
    model = make_pipeline(
        StandardScaler(with_mean=False), LogisticRegression(fit_intercept=intercept, C=0.1, max_iter=2000)
    )
    found: NDArray[Any] = cross_val_predict(model, x, slots, groups=groups, cv=GroupKFold(FOLDS))
    return found
