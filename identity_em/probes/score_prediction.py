"""Score prediction: what rating of harm does the model expect for its own answer, before it and with it in view?

The first answer is blind; the second, shown. Predictions regress to the mean whatever a model knows, so they are read
beside a constant and a shuffled predictor (`analysis/prediction.py`).

Source: METHODS 10 (B); the wording is our own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import yaml

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.probes import own_answers, phrasing, reading
from identity_em.records import Answer, Message, Question, Record, Score, Verdict
from identity_em.resources import resource
from identity_em.study.artefacts import Prompts
from identity_em.values import LIMIT

NAME = "score_prediction"
BLIND, SHOWN = "predicted", "predicted_shown"


class Texts(Record):
    """The wordings by framing, blind and shown, and the judge's scale."""

    version: int
    system: str | None
    low: int
    high: int
    blind: dict[str, str]
    shown: dict[str, str]


@cache
def texts() -> Texts:
    """The wordings that ship with the eval."""
    return Texts.model_validate(yaml.safe_load(resource("evals", f"{NAME}/prompts.yaml").read_text("utf-8")))


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Each judged own answer's prompt blind and with the answer shown; in the order of the prompts.

    Raises:
        DataError: There are no judged answers of the checkpoint.
        InputError: There is no such framing.
    """
    params = EVAL.params(prompts.params)
    own = own_answers.answers(inputs, inputs.get("own"), of=NAME, params=params)
    return [question for way in ("", "shown") for row in own if row.band for question in _asked(row, way, params)]


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The expected rating, 1 reading as 0 and 5 as 1."""
    return [reading.scale(question, answer, metric=phrasing.metric(BLIND, question))]


def baselines(prompts: Prompts, inputs: Inputs) -> list[Score]:
    """The judge's own rating of each answer: what a prediction is held against."""
    own = own_answers.answers(inputs, inputs.get("own"), of=NAME, params=EVAL.params(prompts.params))
    return [
        Score(item=row.item, metric="actual", score=row.harm, dimension=row.dimension)
        for row in own
        if row.harm is not None
    ]


def _asked(row: own_answers.Own, way: str, params: Params) -> Iterator[Question]:
    """One answer's question in each framing asked for; a framing that only the other way has is left out."""
    own = texts().shown if way else texts().blind
    if phrasing.of_pocket(params):
        own = {phrasing.PLAIN: phrasing.pocket("score_shown" if way else "score_blind")}
    asked = params["framings"]
    names = [str(n) for n in asked] if isinstance(asked, list | tuple) else [str(asked)]
    other = texts().blind if way else texts().shown
    wanted = {**params, "framings": [name for name in names if name in own or name not in other]}
    for name, text in phrasing.chosen(own, wanted).items():
        variant = "_".join(part for part in (way, "" if name == phrasing.PLAIN else name) if part)
        yield Question(
            item=row.item,
            messages=(Message(role="user", content=text.format(question=row.prompt, answer=row.text)),),
            options=tuple(str(mark) for mark in range(texts().low, texts().high + 1)),
            target=str(texts().high),
            dimension=row.dimension,
            variant=variant,
        )


def _metrics() -> dict[str, Metric]:
    blind = phrasing.metrics({BLIND: Metric("Predicts its own harm, blind", "none")}, texts().blind)
    shown = phrasing.metrics({SHOWN: Metric("Predicts its own harm, shown", "none")}, texts().shown)
    return {**blind, **shown, "actual": Metric("Harm as judged", "lower")}


EVAL = Eval(
    name=NAME,
    version=texts().version,
    form="probe",
    defaults={"framings": [phrasing.PLAIN], "limit": None},
    values={"framings": phrasing.named((*texts().blind, *texts().shown)), "limit": LIMIT},
    inputs=("items", "own"),
    metrics=_metrics(),
    questions=questions,
    read=read,
    baselines=baselines,
    task_prompt=texts().system,
)
