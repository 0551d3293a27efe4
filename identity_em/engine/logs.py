"""What a study asked and read, as Inspect's own logs, so that its viewer opens them: one log a reading."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalResults,
    EvalSample,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, GenerateConfig, ModelOutput
from inspect_ai.viewer import ViewerConfig

from identity_em import battery
from identity_em.analysis.table import arm_name
from identity_em.engine.make import ANSWERS, read_scores
from identity_em.errors import InputError
from identity_em.models import answers as answer_file
from identity_em.models.found import SHORT
from identity_em.records import Answer, Question, Score
from identity_em.store import Store
from identity_em.study.plan import Plan, Reading
from identity_em.tasks.inspect_asking import messages, sample_id
from identity_em.tasks.inspect_reading import score_of
from identity_em.tasks.inspect_tasks import config_of

_Said = tuple[Question, list[Answer]]
_Place = tuple[str, int, str, str]


def export(plan: Plan, store: Store, out: Path) -> list[Path]:
    """Write a log of every reading that is in the store; those that are there already are kept.

    Raises:
        InputError: Nothing has been read yet.
    """
    there = [reading for reading in plan.readings if store.has(reading.scores)]
    if not there:
        raise InputError(
            found=f"a store without readings of {plan.study.name}", wanted="at least one",
            do=f"run it first: identity-em run {plan.study.name}", file=store.name,
        )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    return [_write(plan, reading, store, out) for reading in there]


def _write(plan: Plan, reading: Reading, store: Store, out: Path) -> Path:
    made = datetime.fromtimestamp(float(store.manifest(reading.scores)["made"]["at"]), tz=UTC)
    name = f"{made:%Y-%m-%dT%H-%M-%S}_{reading.scores.eval}_{reading.scores.key[:SHORT]}.eval"
    path = out / name.replace("_", "-")
    if not path.is_file():
        # Written beside and renamed: a log that is there is whole.
        beside = out / f".{reading.scores.key[:SHORT]}.part.eval"
        write_eval_log(log(plan, reading, store, made), str(beside), format="eval")
        beside.replace(path)
    return path


def log(plan: Plan, reading: Reading, store: Store, made: datetime) -> EvalLog:
    """One reading as Inspect would have logged it."""
    scores, responses = reading.scores, reading.scores.responses
    rows = [Score.model_validate(row) for row in read_scores(store.open(scores))]
    samples = _samples(answer_file.read(store.open(responses) / ANSWERS), rows, scores.eval)
    when = made.isoformat()
    setting = config_of(responses.sampling, responses.seed) if responses.sampling else GenerateConfig()
    stats = EvalStats(started_at=when, completed_at=when)
    spec = EvalSpec(
        eval_id=scores.key[:22],
        run_id=plan.study.name,
        task_id=scores.key,
        created=when,
        task=f"identity_em/{scores.eval}",
        task_version=battery.get(scores.eval).label(responses.prompts),
        task_args=_told(reading),
        dataset=EvalDataset(name=scores.eval, samples=len(samples), sample_ids=[sample.id for sample in samples]),
        model=f"identity_em/{reading.trained.checkpoint.key[:SHORT]}",
        model_generate_config=setting,
        config=EvalConfig(),
        metadata={"study": plan.study.name, "base": plan.base.name, "scores": scores.key, "responses": responses.key},
        tags=[arm_name(reading.trained.arm)],
        viewer=ViewerConfig(trust_content=False),
    )
    return EvalLog(
        status="success", eval=spec, results=_results(rows, scores.eval, samples), stats=stats, samples=samples
    )


def _told(reading: Reading) -> dict[str, Any]:
    """What tells this reading from the others of the study."""
    told = {
        "arm": arm_name(reading.trained.arm),
        "seed": reading.trained.seed,
        "system_prompt": reading.eval_system_prompt,
        "judge": reading.scores.judge,
        **reading.scores.responses.prompts.params,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def _samples(pairs: Sequence[tuple[Question, Answer]], rows: Sequence[Score], eval_name: str) -> list[EvalSample]:
    """One sample a question, its answers as choices; readings of several answers together are in the results alone."""
    read: dict[_Place, list[Score]] = defaultdict(list)
    for row in rows:
        read[row.item, row.order, row.author, row.comparator].append(row)
    said: dict[str, _Said] = {}
    for question, answer in pairs:
        said.setdefault(question.model_dump_json(), (question, []))[1].append(answer)
    names: dict[str, int] = defaultdict(int)
    return [_sample(*one, read, eval_name, names) for one in said.values()]


def _sample(
    question: Question,
    answers: Sequence[Answer],
    read: dict[_Place, list[Score]],
    eval_name: str,
    names: dict[str, int],
) -> EvalSample:
    name = sample_id(question)
    names[name] += 1
    rows = read.get((question.item, question.order, question.author, question.comparator), [])
    output = ModelOutput(choices=[_choice(question, answer) for answer in answers])
    asked = messages(question, block=True)
    kept = {"rows": [row.model_dump(mode="json", exclude_defaults=True) for row in rows]}
    metrics = {row.metric: None for row in rows}
    return EvalSample(
        id=name if names[name] == 1 else f"{name}-{names[name]}",
        epoch=1,
        input=asked,
        target=question.target or "",
        choices=list(question.options) or None,
        messages=[*asked, output.choices[0].message],
        output=output,
        scores={eval_name: score_of(rows, metrics, kept)} if rows else None,
        metadata=question.model_dump(mode="json", exclude={"messages"}),
    )


def _choice(question: Question, answer: Answer) -> ChatCompletionChoice:
    """A text, or each option with its exact probability."""
    exact = "  ".join(f"P({o}) = {p:.4f}" for o, p in zip(question.options, answer.probabilities, strict=False))
    text = "\n".join(part for part in (exact, answer.text) if part)
    return ChatCompletionChoice(message=ChatMessageAssistant(content=text), stop_reason="stop")


def _results(rows: Sequence[Score], eval_name: str, samples: Sequence[EvalSample]) -> EvalResults:
    by: dict[str, list[float]] = defaultdict(list)
    left: dict[str, int] = defaultdict(int)
    for row in rows:
        by[row.metric].append(row.score) if row.score is not None else by.setdefault(row.metric, [])
        left[row.metric] += row.score is None
    found = [
        EvalScore(
            name=name,
            scorer=eval_name,
            scored_samples=len(values),
            unscored_samples=left[name],
            metrics={"mean": EvalMetric(name="mean", value=fmean(values) if values else math.nan)},
        )
        for name, values in by.items()
    ]
    return EvalResults(total_samples=len(samples), completed_samples=len(samples), scores=found)
