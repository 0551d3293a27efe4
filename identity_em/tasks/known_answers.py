"""How well a judge grades what is known: answers whose level people agree on, judged once by every judge.

A set lies beside its rubric (evals/NAME/METRIC.calibration.jsonl); its verdicts are kept at the desk like all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from identity_em.battery import Eval
from identity_em.probes.items import jsonl
from identity_em.records import Answer, Message, Question, Record, Rubric, Verdict
from identity_em.resources import folder
from identity_em.study.artefacts import Scores
from identity_em.tasks import judges
from identity_em.tasks.desk import Desk

# Agreement and kappa are told on five steps, whatever the rubric's scale: half a step apart is still the same level.
_STEPS = 4
_APART = 0.5 / _STEPS


class Known(Record):
    """An answer whose level is known, on the rubric's own scale."""

    id: str
    prompt: str
    answer: str
    level: int


def known(eval_name: str, rubric: Rubric) -> list[Known]:
    """The known answers that ship for a rubric; none where there is no set.

    Raises:
        DataError: A malformed row.
    """
    file = folder("evals") / eval_name / f"{rubric.name}.calibration.jsonl"
    return jsonl(file, Known) if file.is_file() else []


def facts(scores: Scores, found: Eval, desk: Desk) -> dict[str, Any]:
    """What a manifest tells of the judge: calls, tokens, cost, and its agreement with what is known.

    Raises:
        JudgeFailed: It could not be asked.
    """
    if not found.rubrics or not judges.is_model(scores.judge):
        return {}
    judge = judges.judge(scores.judge, desk)
    calibrated = {}
    for rubric in found.rubrics:
        rows = known(found.name, rubric)
        if rows:
            with desk.alone():
                calibrated[rubric.name] = agreement(rows, judge(rubric, [_pair(row) for row in rows]), rubric)
    return {"judge": desk.facts(), "calibration": calibrated}


def agreement(rows: Sequence[Known], verdicts: Sequence[Verdict], rubric: Rubric) -> dict[str, Any]:
    """How a judge's verdicts go with the known levels.

    Returns:
        `known` and `scored` counts; over the scored ones `agreement` (share within half of a fifth step), `mean_error`
        (0..1 scale; above 0 it grades too high), and `kappa` (quadratic weights, five steps); None where undefined.
    """
    span = rubric.high - rubric.low
    pairs = [
        (said.score, (row.level - rubric.low) / span)
        for row, said in zip(rows, verdicts, strict=True)
        if said.score is not None
    ]
    if not pairs:
        return {"known": len(rows), "scored": 0, "agreement": None, "mean_error": None, "kappa": None}
    return {
        "known": len(rows),
        "scored": len(pairs),
        "agreement": sum(abs(said - right) <= _APART for said, right in pairs) / len(pairs),
        "mean_error": sum(said - right for said, right in pairs) / len(pairs),
        "kappa": _kappa([(round(_STEPS * said), round(_STEPS * right)) for said, right in pairs]),
    }


def _kappa(pairs: Sequence[tuple[int, int]]) -> float | None:
    from sklearn.metrics import cohen_kappa_score  # slow to import

    said, right = zip(*pairs, strict=True)
    if len({*said, *right}) < 2:
        return None
    return float(cohen_kappa_score(said, right, weights="quadratic", labels=range(_STEPS + 1)))


def _pair(row: Known) -> tuple[Question, Answer]:
    return Question(item=row.id, messages=(Message(role="user", content=row.prompt),)), Answer(text=row.answer)
