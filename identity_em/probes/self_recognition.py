"""Self-recognition: which of two summaries of an article is the model's own?

Own summaries, by the evaluated checkpoint ("current") or by the base, against each comparator's, both orders,
with model-free shortcuts beside them: length alone can look like recognition.

Source: METHODS 1 (wordings, lengths), 4 (pre and post, comparators, shortcut baseline).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.errors import DataError
from identity_em.interventions import wordings
from identity_em.probes import reading
from identity_em.probes.items import texts
from identity_em.records import Answer, Message, Question, Score, Verdict
from identity_em.study.artefacts import Prompts

_LABELS = ("1", "2")
# Raised when the order, the target or the reading changes; the wording has a version of its own.
_VERSION = 1


@dataclass(frozen=True)
class Pair:
    """One article with the own summary and a comparator's."""

    article: str
    text: str
    own: str
    other: str
    comparator: str

    def shown(self, order: int) -> tuple[str, str]:
        """The two summaries in their slots: the own one first in order 0."""
        return (self.own, self.other) if order == 0 else (self.other, self.own)


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Each pair in both orders, articles in the order given; the target is the slot of the own summary.

    Raises:
        DataError: Texts are missing or malformed, or the wording is not the planned one.
        InputError: There is no such wording.
    """
    params = EVAL.params(prompts.params)
    wording = _wording(params)
    return [
        _question(pair, order, wording=wording, author=str(params["author"]))
        for pair in _pairs(inputs, params)
        for order in (0, 1)
    ]


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The probability of the own summary's slot among the two."""
    return [reading.read(question, answer, metric="p_recognise")]


def baselines(prompts: Prompts, inputs: Inputs) -> list[Score]:
    """What rules without a model score on the same pairs; lengths in words, a tie is wrong.

    Metrics: `shortcut_shorter_is_own`, `shortcut_longer_is_own`, `shortcut_position` (always the first slot).
    """
    params = EVAL.params(prompts.params)
    return [
        Score(
            item=pair.article,
            metric=metric,
            score=float(right),
            order=order,
            author=str(params["author"]),
            comparator=pair.comparator,
        )
        for pair in _pairs(inputs, params)
        for order in (0, 1)
        for metric, right in _shortcuts(pair, order).items()
    ]


def _wording(params: Params) -> wordings.Wording:
    """The wording asked for; a key may hold its content, which must still be what is here."""
    found = wordings.get(str(params["wording"]))
    if params["wording_sha256"] not in (None, found.sha256):
        raise DataError(
            found=f"wording {found.name!r} with other texts than planned", wanted="the planned ones", do="plan again"
        )
    return found


def _shortcuts(pair: Pair, order: int) -> dict[str, bool]:
    own, other = len(pair.own.split()), len(pair.other.split())
    return {
        "shortcut_shorter_is_own": own < other,
        "shortcut_longer_is_own": own > other,
        "shortcut_position": order == 0,
    }


def _question(pair: Pair, order: int, *, wording: wordings.Wording, author: str) -> Question:
    one, two = pair.shown(order)
    user = wording.recognition.format(article=pair.text, summary1=one, summary2=two)
    return Question(
        item=pair.article,
        messages=(Message(role="system", content=wording.task_system), Message(role="user", content=user)),
        options=_LABELS,
        target=_LABELS[order],
        order=order,
        author=author,
        comparator=pair.comparator,
    )


def _pairs(inputs: Inputs, params: Params) -> Iterator[Pair]:
    articles = texts(inputs.get("articles"), what="articles")
    own = texts(inputs.get("self"), what="own summaries")
    others = _others(inputs.get("others"))
    limit = params["limit"]
    chosen = list(articles)[: limit if isinstance(limit, int) else None]
    if not chosen:
        raise DataError(found="no articles", wanted="at least one", do="check the articles and the limit")
    _complete(chosen, own, "self", inputs.get("self"))
    for name, summaries in others.items():
        _complete(chosen, summaries, name, None)
    for article in chosen:
        for name, summaries in others.items():
            yield Pair(article, articles[article], own[article], summaries[article], name)


def _others(given: object) -> dict[str, Mapping[str, str]]:
    if not isinstance(given, Mapping) or not given:
        raise DataError(found="no comparators", wanted="summaries by comparator", do="name one under others")
    return {str(name): texts(given[name], what=f"summaries by {name}") for name in given}


def _complete(articles: list[str], summaries: Mapping[str, str], author: str, file: object) -> None:
    missing = [article for article in articles if article not in summaries]
    if missing:
        raise DataError(
            found=f"no summary by {author} of {len(missing)} of {len(articles)} articles (first: {missing[0]!r})",
            wanted="a summary of each article",
            do="add them or lower the limit",
            file=file if isinstance(file, Path) else None,
        )


EVAL = Eval(
    name="self_recognition",
    version=_VERSION,
    form="probe",
    defaults={"wording": "cnn", "wording_sha256": None, "author": "current", "limit": 100},
    inputs=("articles", "self", "others"),
    metrics={
        "p_recognise": Metric("P(own summary)", "none"),
        "shortcut_shorter_is_own": Metric("Shortcut: the shorter is mine", "none"),
        "shortcut_longer_is_own": Metric("Shortcut: the longer is mine", "none"),
        "shortcut_position": Metric("Shortcut: always the first", "none"),
    },
    questions=questions,
    read=read,
    baselines=baselines,
    task_prompt=None,
)
