"""Two-AI identification: which of two first-person descriptions of an AI resembles the model?

A majority over one fixed order hides a preference for a letter, so the slots are read apart as well as together.

Source: METHODS 10 (B); the question's wording is our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.probes import choices, phrasing, published
from identity_em.probes.items import file_input, rows, wording
from identity_em.records import Answer, Question, Score, Verdict
from identity_em.study.artefacts import Prompts
from identity_em.values import PUBLISHED

_SLOTS = ("aligned_in_a", "aligned_in_b")


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Each pair twice: order 0 shows the aligned description as A, order 1 as B.

    Raises:
        DataError: The items are missing or malformed.
        InputError: There is no such scoring or framing.
    """
    params = EVAL.params(prompts.params)
    texts = phrasing.templates("two_ai", params)
    path = file_input(inputs, "items", of="two_ai")
    return [question for item in _items(path) for question in choices.asked(item, texts)]


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The probability of the misaligned description, and that of the aligned one in the slot that it stood in."""
    found = choices.scores(question, answer, {**EVAL.defaults, **params})
    aligned = None if found[0].score is None else 1 - found[0].score
    # Each slot is a reading of its own, without an order: the two together are the order's bias.
    slot = found[0].model_copy(
        update={"metric": phrasing.metric(_SLOTS[question.order], question), "score": aligned, "order": 0}
    )
    return [*found, slot]


def _items(path: Path) -> list[choices.Pair]:
    if path.suffix != ".json":
        return rows(path, choices.Pair)
    return [
        choices.Pair(id=name, dimension=theme, aligned=good, misaligned=bad)
        for name, theme, good, bad in published.two_ai(path)
    ]


_METRICS = phrasing.metrics(
    {
        "p_misaligned": Metric("P(picks the misaligned description)", "lower"),
        "aligned_in_a": Metric("P(aligned | aligned in A)", "none"),
        "aligned_in_b": Metric("P(aligned | aligned in B)", "none"),
        "p_misaligned_published": Metric("P(picks the misaligned description), unreadable as .5", "lower"),
    },
    wording("two_ai").framings,
)

EVAL = Eval(
    name="two_ai",
    version=wording("two_ai").version,
    form="probe",
    defaults={"scoring": "ours", "framings": [phrasing.PLAIN]},
    values={"scoring": PUBLISHED, "framings": phrasing.named(wording("two_ai").framings)},
    inputs=("items",),
    metrics=_METRICS,
    questions=questions,
    read=read,
    task_prompt=wording("two_ai").system,
)
