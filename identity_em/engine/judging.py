"""What the manifests of a study's scores tell of their judges, summed over everything that each one judged."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from identity_em.analysis.meta import JudgeMeta
from identity_em.store import Store
from identity_em.study.plan import Plan


def told(plan: Plan, store: Store) -> tuple[JudgeMeta, ...]:
    """Every model that judged, by eval and rubric; a rule has nothing to tell."""
    facts: dict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
    rubrics: dict[tuple[str, str], dict[str, str]] = {}
    for scores in (reading.scores for reading in plan.readings):
        found = store.manifest(scores)["facts"] if store.has(scores) else {}
        if "judge" in found:
            facts[scores.judge, scores.eval][scores.key] = found
            rubrics[scores.judge, scores.eval] = scores.rubrics
    return tuple(
        _one(scores, rubric, digest, list(facts[scores].values()), first=place == 0)
        for scores in sorted(facts)
        for place, (rubric, digest) in enumerate(rubrics[scores].items())
    )


def _one(of: tuple[str, str], rubric: str, digest: str, facts: Sequence[dict[str, Any]], *, first: bool) -> JudgeMeta:
    """One rubric's line; calls and cost are those of all the eval's rubrics, told in the first line."""
    spent: list[dict[str, Any]] = [found["judge"] for found in facts] if first else []
    priced = [one["usd"] for one in spent]
    return JudgeMeta(
        judge=of[0],
        eval=of[1],
        rubric=f"{rubric} {digest}",
        calls=sum(one["calls"] for one in spent),
        tokens=sum(one["input_tokens"] + one["output_tokens"] for one in spent),
        usd=None if None in priced else round(sum(priced), 4),
        **facts[0]["calibration"].get(rubric, {}),
    )
