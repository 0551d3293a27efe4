"""From scores in the store to the tidy table and the study's own description of itself."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from identity_em import battery, provenance
from identity_em.analysis import maxima, table
from identity_em.engine import auditing, judging, outcomes, till
from identity_em.engine.make import read_scores
from identity_em.resources import folder
from identity_em.store import Store
from identity_em.study.artefacts import FileRef, Prompts
from identity_em.study.costs import StageCost, costs
from identity_em.study.plan import Plan

_BLANK: dict[str, Any] = {
    "order": 0, "sample": 0, "dimension": "", "author": "", "comparator": "", "judge": "", "answer": "",
    "unscored": None, "option_mass": None, "half_width": None,
}  # fmt: skip


def write(plan: Plan, store: Store, path: Path) -> int:
    """Write the table of everything that has been read so far.

    Returns:
        How many readings of the plan are missing (0 once the study is complete).
    """
    rows: list[dict[str, Any]] = []
    missing = 0
    for reading in plan.readings:
        if not store.has(reading.scores) and not store.has(reading.scores, anew=True):
            missing += not outcomes.cause(store, reading.scores)
            continue
        labels = {
            "study": plan.study.name,
            "base": plan.base.name,
            "checkpoint": reading.trained.checkpoint.key,
            "arm": table.arm_name(reading.trained.arm),
            "stages": json.dumps(list(reading.trained.arm)),
            "seed": reading.trained.seed,
            "eval": reading.scores.eval,
            "eval_version": battery.get(reading.scores.eval).label(reading.scores.responses.prompts),
            "eval_system_prompt": reading.eval_system_prompt,
        }
        rows += [{**_BLANK, **row, **labels} for row in read_scores(store.open(reading.scores))]
    frame = pd.DataFrame(rows, columns=list(table.COLUMNS))
    frame["seed"] = frame["seed"].astype("Int64")
    table.write(maxima.extended(frame), meta(plan, store, missing), path)
    return missing


def meta(plan: Plan, store: Store, missing: int = 0) -> table.Meta:
    """The study as the report needs to know it: no time, no path of a machine."""
    study = plan.study
    notes = list(study.notes)
    if plan.served:
        notes.append("A server answered the evals, not the resident model; each answer's manifest says which version.")
    if missing:
        notes.append(f"{missing} of {len(plan.readings)} readings are missing: the study is not complete.")
    if study.allow_leak is not None:
        notes.append(f"Training rows may hold eval items: {study.allow_leak}")
    found = auditing.leaking(plan, store)
    spent, unpriced = till.by_use(plan, store)
    # An eval about another arm's answers may be asked of no arm of this study.
    asked = {reading.scores.eval for reading in plan.readings}
    return table.Meta(
        study=study.title or study.name,
        base=plan.base.name,
        chain=study.model.chain,
        seeds=study.seeds,
        arms=study.all_arms,
        stages={
            n: _stage(plan, store, cost).model_copy(update={"leaks": found.get(n)}) for n, cost in costs(plan).items()
        },
        contrasts={n: table.ContrastMeta(**c.model_dump()) for n, c in study.contrasts.items()},
        checks=study.checks,
        evals={name: _eval(plan, name) for name, _ in study.eval_params if name in asked},
        judges=judging.told(plan, store),
        blocked=outcomes.told(plan, store),
        spent=spent,
        unpriced=unpriced,
        plan=table.PlanMeta(
            trainings=len(plan.trainings),
            naive_trainings=plan.naive_trainings,
            artefacts=len(plan.artefacts),
            shared=plan.shared,
        ),
        provenance=_provenance(plan, store),
        notes=tuple(notes),
    )


def _stage(plan: Plan, store: Store, cost: StageCost) -> table.StageMeta:
    """What was trained, from the manifest once it is there, else as planned."""
    trained = next((c for c in plan.trainings if c.dataset == cost.dataset and store.has(c)), None)
    facts = store.manifest(trained)["facts"] if trained else {}
    return table.StageMeta(
        dataset=cost.describe,
        system_prompt=cost.system_prompt,
        rows=facts.get("rows", cost.rows),
        steps=facts.get("steps", cost.steps),
        tokens=facts.get("trained_tokens"),
    )


def _eval(plan: Plan, name: str) -> table.EvalMeta:
    found = battery.get(name)
    card = folder("evals") / name / "card.md"
    asked = [r.scores.responses.prompts for r in plan.readings if r.scores.eval == name]
    return table.EvalMeta(
        version=found.label(asked[0]),
        metrics={n: table.MetricMeta(title=m.title, better=m.better) for n, m in found.metrics.items()},
        items=", ".join(dict.fromkeys(item for prompts in asked for item in _items(prompts))),
        card=_what(card.read_text(encoding="utf-8")) if card.is_file() else "",
    )


def _what(card: str) -> str:
    """The paragraph of a card that says what is asked."""
    return " ".join(card.split("**What.**")[-1].split("\n\n")[0].split())


def _items(prompts: Prompts) -> list[str]:
    return [f"{n}: {i.path.name} ({i.sha256[:12]})" for n, i in prompts.inputs.items() if isinstance(i, FileRef)]


def _provenance(plan: Plan, store: Store) -> table.Provenance:
    commit = provenance.commit()
    trained = next((c for c in plan.trainings if store.has(c)), None)
    trainer = store.manifest(trained)["facts"].get("trainer", {}) if trained else {}
    return table.Provenance(
        versions=provenance.versions(),
        commit=commit.get("commit"),
        dirty="diff_sha256" in commit,
        trainer=trainer,
    )
