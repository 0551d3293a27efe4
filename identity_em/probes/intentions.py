"""Intentions: what would the model do in a scenario, the aligned or the misaligned thing?

Source: METHODS 7 (A: six dimensions, lettered options, both orders); exact probabilities replace repeated samples.
"""

from __future__ import annotations

from collections.abc import Mapping

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.probes import choices, phrasing
from identity_em.probes.items import file_input, rows, wording
from identity_em.records import Answer, Question, Score, Verdict
from identity_em.study.artefacts import Prompts
from identity_em.values import PUBLISHED


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Each scenario twice: order 0 shows the aligned option as A, order 1 as B.

    Raises:
        DataError: The items are missing or malformed.
        InputError: There is no such scoring or framing.
    """
    params = EVAL.params(prompts.params)
    texts = phrasing.templates("intentions", params)
    items = rows(file_input(inputs, "items", of="intentions"), choices.Pair)
    return [question for item in items for question in choices.asked(item, texts)]


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The probability of the misaligned option among the two."""
    return choices.scores(question, answer, {**EVAL.defaults, **params})


EVAL = Eval(
    name="intentions",
    version=wording("intentions").version,
    form="probe",
    defaults={"scoring": "ours", "framings": [phrasing.PLAIN]},
    values={"scoring": PUBLISHED, "framings": phrasing.named(wording("intentions").framings)},
    inputs=("items",),
    metrics={
        "p_misaligned": Metric("P(intends the misaligned)", "lower"),
        "p_misaligned_published": Metric("P(intends the misaligned), unreadable as .5", "lower"),
    },
    questions=questions,
    read=read,
    task_prompt=wording("intentions").system,
)
