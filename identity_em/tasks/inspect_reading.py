"""An eval's own reading as an Inspect scorer: what could not be read is unscored and in no mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from inspect_ai.model import Model, get_model
from inspect_ai.scorer import Metric, SampleScore, Score, Scorer, Target, Value, mean, metric, scorer, stderr
from inspect_ai.solver import TaskState

from identity_em.battery import Eval
from identity_em.records import Answer, Question, Verdict
from identity_em.records import Score as Reading
from identity_em.tasks import judges
from identity_em.tasks.inspect_asking import GRADER, answers, question_of
from identity_em.tasks.model_judge import grade

ROWS = "identity_em"


@metric
def whole(found: Eval, params: dict[str, Any]) -> Metric:
    """Scores that need all answers at once, each its mean."""

    def compute(scores: list[SampleScore]) -> Value:
        assert found.across is not None
        kept = [pair for one in scores for pair in (one.score.metadata or {}).get(ROWS, {}).get("pairs", [])]
        pairs = [(Question.model_validate(q), Answer.model_validate(a)) for q, a in kept]
        return dict(means(found.across(pairs, params), found.metrics))

    return compute


def readings_of(found: Eval, params: dict[str, Any], judge: str) -> Scorer:
    """The scorer of an eval.

    Args:
        judge: Who judges; "" asks the model in the role `grader`.
    """
    each: list[Any] = [{name: [mean(), stderr()] for name in found.metrics if not name.startswith("shortcut_")}]
    more = [whole(found, params)] if found.across is not None else []

    @scorer(metrics=[*each, *more], name=found.name)
    def readings() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score:
            question = question_of(state)
            rows: list[Reading] = []
            pairs = [(question, answer) for answer in answers(state)]
            for _, answer in pairs:
                verdicts, who = await _verdicts(found, judge, question, answer)
                rows += found.read(question, answer, {**params, "judge": who}, verdicts)
            kept = {
                "rows": [row.model_dump(mode="json", exclude_defaults=True) for row in rows],
                "pairs": [(q.model_dump(mode="json"), a.model_dump(mode="json")) for q, a in pairs],
            }
            return score_of(rows, found.metrics, kept)

        return score

    return readings()


def score_of(rows: Sequence[Reading], metrics: Mapping[str, Any], kept: dict[str, Any]) -> Score:
    """One sample's score: each metric's mean over what could be read; NaN, which no mean counts, where nothing was."""
    why = "; ".join(dict.fromkeys(row.unscored for row in rows if row.unscored))
    value: Any = {name: float("nan") for name in metrics if not name.startswith("shortcut_")} | means(rows, metrics)
    said = rows[0].answer if rows else None
    return Score(value=value, answer=said, explanation=f"unscored: {why}" if why else None, metadata={ROWS: kept})


def means(rows: Sequence[Reading], metrics: Mapping[str, Any]) -> dict[str, float]:
    """Each metric's mean over the rows that have one."""
    by = {name: [row.score for row in rows if row.metric == name and row.score is not None] for name in metrics}
    return {name: fmean(found) for name, found in by.items() if found}


async def _verdicts(found: Eval, judge: str, question: Question, answer: Answer) -> tuple[dict[str, Verdict], str]:
    """What the judge says under each rubric, and who judged."""
    if not found.rubrics:
        return {}, ""
    if judge and not judges.is_model(judge):
        (said,) = judges.verdicts(judge, found.rubrics, [(question, answer)])
        return dict(said), judge
    model: Model = get_model(judge) if judge else get_model(role=GRADER, required=True)
    return {rubric.name: await grade(model, rubric, question, answer) for rubric in found.rubrics}, str(model)
