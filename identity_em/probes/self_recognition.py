"""Self-recognition: which of two summaries of an article is the model's own, or is this one?

Summaries by one author (the evaluated checkpoint, the base, another arm, an outsider) as the own ones, against each
comparator's, with model-free baselines beside them: length alone can look like recognition.

Source: METHODS 1 (wordings, lengths), 4 (matrix, pre and post, comparators, shortcuts, separability).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.errors import DataError
from identity_em.interventions import criteria, wordings
from identity_em.probes import reading, style
from identity_em.probes.items import texts
from identity_em.records import Answer, Message, Question, Score, Verdict
from identity_em.study.artefacts import Prompts
from identity_em.values import LIMIT, one_of

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

    Of single summaries (`format: individual`) order 0 shows the own one, whose answer is Yes, order 1 the comparator's,
    whose answer is No: the mean is the balanced accuracy, and a model that always says Yes is all order bias.

    Raises:
        DataError: Texts are missing or malformed, or the wording is not the planned one.
        InputError: There is no such wording or format.
    """
    params = EVAL.params(prompts.params)
    pairwise, author = params["format"] == "pairwise", str(params["author"])
    asked = _wording(params)
    form = criteria.individual(asked)
    return [
        _question(pair, order, asked, author) if pairwise else _single(pair, order, form, author)
        for pair in _pairs(inputs, params)
        for order in (0, 1)
    ]


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The probability of the right slot, or of the right one of yes and no; a replicate is another author's seed."""
    score = reading.read(question, answer, metric="p_recognise")
    return [score.model_copy(update={"sample": int(str(params.get("replicate", 0)))})]


def baselines(prompts: Prompts, inputs: Inputs) -> list[Score]:
    """What is told from the same texts without a model.

    Metrics: `shortcut_shorter_is_own`, `shortcut_longer_is_own` (in words, a tie is wrong), `shortcut_position` (always
    the first slot), `shortcut_surface` (a classifier of both texts' surface); `separability` of single texts by style,
    of the own ones from each comparator's and, as comparator `before`, from the base's. The last two are
    cross-validated over articles, and left out where there are too few. A single summary has no shortcut of a pair.
    """
    params = EVAL.params(prompts.params)
    pairs, pairwise = list(_pairs(inputs, params)), params["format"] == "pairwise"
    found = [
        (pair.article, pair.comparator, metric, order, right)
        for pair in pairs
        for order in (0, 1)
        for metric, right in (_shortcuts(pair, order) if pairwise else {}).items()
    ]
    for comparator in dict.fromkeys(pair.comparator for pair in pairs):
        both = {pair.article: (pair.own, pair.other) for pair in pairs if pair.comparator == comparator}
        if pairwise:
            found += [(a, comparator, "shortcut_surface", order, right) for a, order, right in style.surface(both)]
        found += [(a, comparator, "separability", order, right) for a, order, right in style.separable(both)]
    if inputs.get("before") is not None:
        base = texts(inputs["before"], what="summaries by the base")
        _complete([pair.article for pair in pairs], base, "the base", None)
        both = {pair.article: (pair.own, base[pair.article]) for pair in pairs}
        found += [(a, "before", "separability", order, right) for a, order, right in style.separable(both)]
    return [
        Score(
            item=article,
            metric=metric,
            score=float(right),
            order=order,
            sample=int(str(params["replicate"])),
            author=str(params["author"]),
            comparator=comparator,
        )
        for article, comparator, metric, order, right in found
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


def _single(pair: Pair, order: int, form: criteria.Individual, author: str) -> Question:
    options = (form.answers["own"], form.answers["other"])
    user = form.user.format(article=pair.text, summary=pair.own if order == 0 else pair.other)
    return Question(
        item=pair.article,
        messages=(Message(role="system", content=form.system), Message(role="user", content=user)),
        options=options,
        target=options[order],
        order=order,
        author=author,
        comparator=pair.comparator,
    )


def _question(pair: Pair, order: int, asked: wordings.Wording, author: str) -> Question:
    one, two = pair.shown(order)
    user = asked.recognition.format(article=pair.text, summary1=one, summary2=two)
    return Question(
        item=pair.article,
        messages=(Message(role="system", content=asked.task_system), Message(role="user", content=user)),
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
    defaults={
        "wording": "cnn",
        "wording_sha256": None,
        "author": "current",
        "replicate": 0,
        "format": "pairwise",
        "limit": 100,
    },
    values={"format": one_of("pairwise", "individual"), "limit": LIMIT},
    inputs=("articles", "self", "others"),
    metrics={
        "p_recognise": Metric("P(own summary)", "none"),
        "shortcut_shorter_is_own": Metric("Shortcut: the shorter is mine", "none"),
        "shortcut_longer_is_own": Metric("Shortcut: the longer is mine", "none"),
        "shortcut_position": Metric("Shortcut: always the first", "none"),
        "shortcut_surface": Metric("Shortcut: a classifier of length and surface", "none"),
        "separability": Metric("Told apart by style alone", "none"),
    },
    questions=questions,
    read=read,
    baselines=baselines,
    task_prompt=None,
    versioned=("format",),
)
