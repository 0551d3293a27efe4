"""The recognition matrix as reported: real recognition with its interval, and an answer by position as nothing else."""

import json
from typing import Any

import pandas as pd

from identity_em import battery
from identity_em.analysis import table
from identity_em.analysis.meta import Meta, arm_name
from identity_em.records import Answer, Question
from identity_em.report import matrix, sections
from identity_em.report.content import Table
from identity_em.report.view import View
from identity_em.study.artefacts import Prompts

EVAL = battery.get("self_recognition")
ARTICLES = {f"a{i}": f"Article {i} about the town." for i in range(24)}
TEXTS = {
    name: {a: form.format(i=a[1:]) for a in ARTICLES}
    for name, form in {"own": "Briefly: story {i}.", "outside": "And then, friends, story {i} happened!"}.items()
}
METRICS = {name: {"title": m.title, "better": m.better} for name, m in EVAL.metrics.items()}


def knows(question: Question) -> Answer:
    """A judge that finds the own summary nine times in ten."""
    right = (0.9, 0.1) if question.target == "1" else (0.1, 0.9)
    return Answer(probabilities=right, option_mass=1.0)


def first(question: Question) -> Answer:
    """A judge that answers "1" whatever it is shown."""
    return Answer(probabilities=(1.0, 0.0), option_mass=1.0)


def rows(arm: tuple[str, ...], judge: Any, author: str) -> list[dict[str, Any]]:
    prompts = Prompts(name="self_recognition", version=1, params={"author": author, "limit": None})
    before = {} if author == "base" else {"before": TEXTS["own"]}
    inputs: dict[str, Any] = {"articles": ARTICLES, "self": TEXTS["own"], "others": {"x": TEXTS["outside"]}, **before}
    asked = [(q, judge(q)) for q in EVAL.questions(prompts, inputs)]
    assert EVAL.baselines is not None
    scores = [s for q, a in asked for s in EVAL.read(q, a, {}, {})] + EVAL.baselines(prompts, inputs)
    labels = {
        "study": "s", "base": "b", "checkpoint": "k", "arm": arm_name(arm), "stages": json.dumps(arm),
        "seed": 0 if arm else None, "eval": "self_recognition", "eval_version": "1", "eval_system_prompt": "default",
    }  # fmt: skip
    return [{**score.model_dump(), **labels} for score in scores]


def view() -> View:
    arms = [(), ("em",)]
    found = [
        row
        for arm, judge in zip(arms, (knows, first), strict=True)
        for author in ("base", "current", "em")
        for row in rows(arm, judge, author)
    ]
    evals = {"self_recognition": {"version": "1", "metrics": METRICS}}
    stages = {"em": {"dataset": "d", "system_prompt": "default", "rows": 1, "steps": 1}}
    meta = Meta.model_validate(
        {"study": "s", "base": "b", "seeds": [0], "arms": arms, "stages": stages, "evals": evals}
    )
    return View(table.tidy(pd.DataFrame(found, columns=list(table.COLUMNS))), meta)


def named(tables: list[Table], start: str) -> Table:
    return next(t for t in tables if t.title.startswith(start))


def test_the_matrix_gives_diagonal_and_off_diagonal_entries_with_intervals() -> None:
    found = named(matrix.found(view()), "Recognition matrix")
    assert found.columns == ("Judge", "base", "current", "em")
    base = found.rows[0]
    assert base[0] == "base"
    assert all(cell.startswith("0.90 [") for cell in base[1:])


def test_a_judge_that_answers_1_always_shows_as_order_bias_and_cannot_show_as_recognition() -> None:
    shown = view()
    _, em = named(matrix.found(shown), "Recognition matrix").rows
    assert all("answers by position (order bias +1.00)" in cell for cell in em[1:])
    for stratum in shown.readings.strata:
        if stratum.metric == "p_recognise":
            assert shown.readings.estimate(("em",), stratum).mean == 0.5
            assert shown.readings.quality(("em",), stratum).order_bias == 1.0


def test_texts_of_two_styles_are_told_apart_and_unchanged_texts_are_not() -> None:
    found = named(matrix.found(view()), "Style of the summaries")
    verdicts = {(row[0], row[1]): row[3] for row in found.rows}
    assert verdicts["base", "x"] == "yes"
    assert verdicts["em", "before"] == "not shown"


def test_the_section_holds_the_matrix() -> None:
    section = sections.self_recognition(view())
    assert section is not None
    assert "Recognition matrix (1) against x: judge by author" in [t.title for t in section.tables]
