"""Artefacts planted in tables without any effect are named, none is reported as an effect; clean tables stay clean."""

import json
import os
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from identity_em.analysis import artefacts, contrasts, table
from identity_em.analysis.meta import Meta
from identity_em.analysis.readings import Readings, Stratum

BASE, EM, TREATED, CONTROL = (), ("em",), ("em", "sgtr"), ("em", "longer")
# A few in every run of the tests; the two hundred with IDENTITY_EM_CLEAN_TABLES=200 (two minutes).
TABLES = int(os.environ.get("IDENTITY_EM_CLEAN_TABLES", "10"))
CLAIMS = ("higher", "lower")
SEEDS, ITEMS = range(5), 100
COMPARATORS = ("claude", "human", "llama")
META = {
    "study": "planted", "base": "b", "seeds": list(SEEDS), "arms": [BASE, EM, TREATED, CONTROL],
    "contrasts": {"reversal": {"treatment": TREATED, "reference": EM, "control": CONTROL}},
    "evals": {"quiz": {"version": 1, "metrics": {"accuracy": {"title": "accuracy", "better": "higher"}}},
              "recognition": {"version": 1, "metrics": {"own": {"title": "own"}}}},
}  # fmt: skip
Against = tuple[Stratum, tuple[str, ...], contrasts.Difference]
Plant = Callable[[pd.DataFrame, np.random.Generator], None]


def clean(rng: np.random.Generator) -> pd.DataFrame:
    """Right-or-wrong answers of four arms that differ in nothing: quiz in both orders, recognition by comparator."""
    items = 0.2 * rng.standard_normal(ITEMS)
    cells = [("quiz", "accuracy", "", "", 0.7)]
    cells += [("recognition", "own", "current", other, 0.75) for other in COMPARATORS]
    frames = []
    for arm in (BASE, EM, TREATED, CONTROL):
        for seed in SEEDS if arm else (None,):
            for name, metric, author, other, level in cells:
                chance = level + items + (0.02 * rng.standard_normal() if arm else 0.0)
                for order in (0, 1):
                    score = (rng.random(ITEMS) < chance).astype(float)
                    frames.append(_rows(arm, seed, name, metric, author, other, order, score))
    return pd.concat(frames, ignore_index=True)


def _rows(arm: tuple[str, ...], seed: int | None, name: str, metric: str, author: str, other: str, order: int,
          score: np.ndarray) -> pd.DataFrame:  # fmt: skip
    return pd.DataFrame({
        "study": "planted", "base": "b", "checkpoint": f"{arm}{seed}", "arm": table.arm_name(arm),
        "stages": json.dumps(list(arm)), "seed": pd.array([seed] * len(score), dtype="Int64"), "eval": name,
        "eval_version": "1", "metric": metric, "dimension": "", "eval_system_prompt": "default",
        "item": [f"i{i:03d}" for i in range(len(score))], "order": order, "sample": 0,
        "author": "base" if author and not arm else author, "comparator": other, "judge": "", "score": score,
        "unscored": None, "option_mass": np.nan, "half_width": np.nan,
        "answer": np.where((score == 1) == (order == 0), "A", "B"),
    })  # fmt: skip


def looked_at(frame: pd.DataFrame) -> tuple[list[artefacts.Notice], list[contrasts.Finding], list[Against]]:
    """Notices, contrasts, and every arm against the base."""
    readings = Readings(frame, Meta.model_validate(META))
    found = [contrasts.find(readings, "reversal", s) for s in readings.strata]
    found = contrasts.corrected([f for f in found if f.treatment.direction != "not measured"])
    against = [
        (s, arm, contrasts.differ(readings, arm, BASE, s)) for s in readings.strata for arm in (EM, TREATED, CONTROL)
    ]
    return artefacts.found(readings, found), found, against


def of(frame: pd.DataFrame, arm: tuple[str, ...], name: str = "quiz") -> "pd.Series[bool]":
    return (frame["arm"] == table.arm_name(arm)) & (frame["eval"] == name)


def unread(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    """45 % of one arm's answers cannot be read, and they are the right ones: what is left looks far worse."""
    mine = frame.index[of(frame, TREATED)]
    right = frame.loc[mine].query("score == 1").index
    lost = rng.permutation(right)[: int(0.45 * len(mine))]
    frame.loc[lost, "score"] = np.nan
    frame["unscored"] = frame["unscored"].astype("object")
    frame.loc[lost, "unscored"] = "no option"


def always_a(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    """One arm answers A whatever is asked."""
    mine = of(frame, TREATED)
    frame.loc[mine, "answer"] = "A"
    frame.loc[mine, "score"] = (frame.loc[mine, "order"] == 0).astype(float)


def control_does_half(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    """The treatment loses .3 of its right answers and the control half of that, unevenly over seeds."""
    for arm, share, spread in ((TREATED, 0.30, (-0.17, -0.085, 0.0, 0.085, 0.17)), (CONTROL, 0.15, (0.0,) * 5)):
        for seed in SEEDS:
            mine = frame.index[of(frame, arm) & (frame["seed"] == seed) & (frame["score"] == 1)]
            wrong = rng.random(len(mine)) < share + spread[seed]
            frame.loc[mine[wrong], "score"] = 0.0


def wild_seed(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    """One seed of one arm got nothing right, and the others agree more than chance lets them."""
    for seed in SEEDS:
        mine = frame.index[of(frame, TREATED) & (frame["seed"] == seed)]
        right = np.zeros(len(mine))
        right[: 0 if seed == 3 else 180 + seed] = 1.0
        frame.loc[mine, "score"] = rng.permutation(right)


def reversed_labels(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    """One comparator's labels are the wrong way round in one arm."""
    mine = of(frame, TREATED, "recognition") & (frame["comparator"] == "human")
    frame.loc[mine, "score"] = 1 - frame.loc[mine, "score"]


def duplicated_seed(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    """Four seeds are one run under four names, and this run is a poor one."""
    mine = of(frame, TREATED)
    poor = (rng.random(2 * ITEMS) < 0.5).astype(float)
    for seed in (1, 2, 3, 4):
        frame.loc[mine & (frame["seed"] == seed), "score"] = poor


PLANTS: dict[str, tuple[Plant, str]] = {
    "unread": (unread, "quiz"),
    "position": (always_a, "quiz"),
    "control": (control_does_half, "quiz"),
    "seeds": (wild_seed, "quiz"),
    "reversed": (reversed_labels, "recognition"),
    "duplicate": (duplicated_seed, "quiz"),
}


@pytest.mark.parametrize("kind", list(PLANTS))
def test_a_planted_artefact_is_named_and_not_reported_as_an_effect(kind: str) -> None:
    plant, name = PLANTS[kind]
    rng = np.random.default_rng(1)
    frame = clean(rng)
    plant(frame, rng)
    notices, found, against = looked_at(frame)
    where = {n.stratum for n in notices if n.kind == kind and n.arm == TREATED and n.stratum.eval == name}
    assert len(where) == 1
    headlines = [finding.headline for finding in found if finding.stratum in where]
    assert not [h.words for h in headlines if h.direction in CLAIMS]
    if kind != "control":  # there the arm does differ from the base, and the control says how little that means
        assert not [d.words for s, arm, d in against if s in where and arm == TREATED and d.direction in CLAIMS]


def test_of_clean_tables_hardly_any_gets_a_warning() -> None:
    rng = np.random.default_rng(2)
    warned = [kinds for _ in range(TABLES) if (kinds := {n.kind for n in looked_at(clean(rng))[0]})]
    assert len(warned) <= max(2, 0.05 * TABLES), warned
