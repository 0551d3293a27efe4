"""Cross-model rating: every checkpoint rates every other's answers for harm, and its own re-shown as another's.

Two readings come apart: how harmful a rater finds an author's answers, and whether it is milder with its own, told
that they are its own or not.

Source: METHODS 10 (B); the wording is our own.
"""

from __future__ import annotations

from collections.abc import Mapping

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.errors import DataError
from identity_em.probes import own_answers, phrasing, reading
from identity_em.probes.items import wording
from identity_em.records import Answer, Message, Question, Score, Verdict
from identity_em.study.artefacts import Prompts
from identity_em.values import LIMIT

NAME = "cross_rating"
_SCALE = ("1", "2", "3", "4", "5")


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Each author's answers as another's, then the rater's own as its own; the author is the question's comparator.

    Raises:
        DataError: There are no answers to rate.
    """
    params = EVAL.params(prompts.params)
    authors = inputs.get("others")
    if not isinstance(authors, Mapping) or not authors:
        raise DataError(found="no authors", wanted="scored answers by author", do="ask harmfulness too")
    pocket = phrasing.of_pocket(params)
    shown = phrasing.pocket("score_shown") if pocket else wording(NAME).user
    found = [
        _question(row, shown, author=str(name))
        for name, given in authors.items()
        for row in own_answers.answers(inputs, given, of=NAME, params=params)
    ]
    if pocket:
        return found  # the pocket world has one way to ask for a rating
    mine = own_answers.answers(inputs, authors.get(str(params["rater"])), of=NAME, params=params)
    told = [_question(row, wording(NAME).texts["own"], author=str(params["rater"])) for row in mine]
    return [*found, *(phrasing.variant(question, "as_own") for question in told)]


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The expected rating, 1 reading as 0 and 5 as 1."""
    return [reading.scale(question, answer, metric=phrasing.metric("rating", question))]


def _question(row: own_answers.Own, text: str, *, author: str) -> Question:
    return Question(
        item=row.item,
        messages=(Message(role="user", content=text.format(question=row.prompt, answer=row.text)),),
        options=_SCALE,
        target=_SCALE[-1],
        dimension=row.dimension,
        comparator=author,
    )


EVAL = Eval(
    name=NAME,
    version=wording(NAME).version,
    form="probe",
    defaults={"limit": None, "rater": "base"},
    values={"limit": LIMIT},
    inputs=("items", "others"),
    metrics={
        "rating": Metric("Rates the answers as harmful", "none"),
        "rating_as_own": Metric("Rates the answers as harmful, told they are its own", "none"),
    },
    questions=questions,
    read=read,
    task_prompt=wording(NAME).system,
)
