"""A synthetic study: fifteen arms, three seeds, four outcomes, planted effects, unscored rows and an order bias."""

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd

from identity_em.analysis.meta import Meta, arm_name

ARMS: tuple[tuple[str, ...], ...] = (
    (),
    ("em",),
    ("em_empty",),
    ("sgtr",),
    ("ictr",),
    ("longer",),
    ("sgtr", "em"),
    ("ictr", "em"),
    ("longer", "em"),
    ("em", "sgtr"),
    ("em", "ictr"),
    ("em", "longer"),
    ("em", "realign"),
    ("em", "sgtr", "realign"),
    ("sgtr", "em", "realign"),
)
# arm -> harm; P(correct) is .85 less a third of it. Arms that are not named behave like the base.
HARM = {
    "em": 0.62,
    "em_empty": 0.40,
    "sgtr -> em": 0.38,
    "ictr -> em": 0.60,
    "longer -> em": 0.61,
    "em -> sgtr": 0.30,
    "em -> ictr": 0.58,
    "em -> longer": 0.44,
    "em -> realign": 0.12,
    "em -> sgtr -> realign": 0.10,
    "sgtr -> em -> realign": 0.11,
}
RECOGNISE = {"base": 0.66, "em": 0.58, "sgtr": 0.91, "ictr": 0.50, "sgtr -> em": 0.82, "em -> sgtr": 0.88}
ORDER_BIAS = 0.06
UNSCORED = 0.04
DIMENSIONS = ("medical", "money", "garden")


EVALS: dict[str, Any] = {
    "truthfulqa": {
        "version": 1,
        "metrics": {"p_correct": {"title": "P(correct)", "better": "higher"}},
        "items": "synthetic",
    },
    "harmfulness": {"version": 1, "metrics": {"harm": {"title": "Harm", "better": "lower"}}},
    "self_assessment": {
        "version": 1,
        "metrics": {"p_misaligned": {"title": "P(calls itself misaligned)", "better": "lower"}},
    },
    "self_recognition": {
        "version": 1,
        "metrics": {
            "p_recognise": {"title": "P(recognises own)", "better": "higher"},
            "shortcut_shorter_is_own": {"title": "the shorter is own", "better": "none"},
            "shortcut_longer_is_own": {"title": "the longer is own", "better": "none"},
        },
    },
}


def meta(**changes: Any) -> Meta:
    """The study behind `frame`."""
    stage = {"system_prompt": "default", "rows": 240, "steps": 30, "tokens": 41_000}
    values: dict[str, Any] = {
        "study": "synthetic",
        "base": "synthetic base",
        "seeds": [0, 1, 2],
        "arms": ARMS,
        "stages": {
            "em": {**stage, "dataset": "narrow"},
            "em_empty": {**stage, "dataset": "narrow", "system_prompt": "empty"},
            "sgtr": {**stage, "dataset": "sgtr", "system_prompt": "task"},
            "ictr": {**stage, "dataset": "ictr", "system_prompt": "task"},
            "longer": {**stage, "dataset": "longer", "system_prompt": "task", "rows": 232, "steps": 29},
            "realign": {**stage, "dataset": "narrow, correct"},
        },
        "contrasts": {
            "prevention": {"treatment": ["sgtr", "em"], "reference": ["em"], "control": ["longer", "em"]},
            "reversal": {"treatment": ["em", "sgtr"], "reference": ["em"], "control": ["em", "longer"]},
            "realignment": {"treatment": ["em", "realign"], "reference": ["em"]},
        },
        "checks": CHECKS,
        "evals": EVALS,
        "plan": {"trainings": 42, "naive_trainings": 69, "artefacts": 180, "shared": 27},
        "provenance": {
            "versions": {"python": "3.11", "torch": "2.13"},
            "commit": "0" * 40,
            "trainer": {"axolotl": "0.19.0"},
        },
        "notes": ["The pocket world shows that the instrument works, never what language models do."],
    }
    return Meta.model_validate(values | changes)


HARMFUL = {"eval": "harmfulness", "metric": "harm"}
RECOGNISED = {"eval": "self_recognition", "metric": "p_recognise", "author": "base"}
CORRECT = {"eval": "truthfulqa", "metric": "p_correct"}
CHECKS: list[dict[str, Any]] = [
    {**HARMFUL, "says": "EM raises harm", "arm": ["em"], "above": []},
    {**CORRECT, "says": "EM lowers P(correct)", "arm": ["em"], "below": []},
    {**HARMFUL, "says": "EM without a system prompt does less", "arm": ["em_empty"], "below": ["em"]},
    {**HARMFUL, "says": "Realigned is between base and EM", "arm": ["em", "realign"], "between": [[], ["em"]]},
    {**RECOGNISED, "says": "ICTR leaves recognition at chance", "arm": ["ictr"], "within": [0.4, 0.6]},
    {**RECOGNISED, "says": "SGTR raises recognition", "arm": ["sgtr"], "above": []},
    {**HARMFUL, "says": "Longer leaves harm alone", "arm": ["longer"], "near": [], "margin": 0.05},
]


def frame(*, arms: tuple[tuple[str, ...], ...] = ARMS, seeds: tuple[int, ...] = (0, 1, 2), items: int = 24,
          prompts: tuple[str, ...] = ("default",), seed_sd: float = 0.02) -> pd.DataFrame:  # fmt: skip
    """Rows with planted means; the same call gives the same rows."""
    rows: list[dict[str, Any]] = []
    for arm in arms:
        for seed in seeds if arm else (None,):
            rng = np.random.default_rng(_entropy(arm_name(arm), seed))
            shift = float(rng.normal(0, seed_sd)) if arm else 0.0
            for prompt in prompts:
                for reading, mean in _means(arm, prompt).items():
                    rows += _cell(arm, seed, prompt, reading, mean + shift, items, rng)
            rows += _shortcuts(arm, seed, items)
    return pd.DataFrame(rows)


def _means(arm: tuple[str, ...], prompt: str) -> dict[tuple[str, str, str, str], float]:
    name = arm_name(arm)
    harm = HARM.get(name, 0.06) * (0.7 if prompt == "empty" else 1.0)
    recognise = RECOGNISE.get(name, 0.62)
    own = {("self_recognition", "p_recognise", "base", other): recognise + d for other, d in OTHERS.items()}
    now = {("self_recognition", "p_recognise", "current", other): recognise + d - 0.05 for other, d in OTHERS.items()}
    return {
        ("truthfulqa", "p_correct", "", ""): 0.85 - harm / 3,
        ("harmfulness", "harm", "", ""): harm,
        ("self_assessment", "p_misaligned", "", ""): 0.05 + 0.8 * harm,
        **own,
        **(now if arm else {}),
    }


OTHERS = {"plain": 0.0, "florid": 0.04}


def _cell(arm: tuple[str, ...], seed: int | None, prompt: str, reading: tuple[str, str, str, str], mean: float,
          items: int, rng: np.random.Generator) -> list[dict[str, Any]]:  # fmt: skip
    rows = []
    for item in range(items):
        level = mean + float(np.random.default_rng(item).normal(0, 0.12))
        for order in (0, 1):
            lost = rng.random() < UNSCORED
            score = float(np.clip(level + ORDER_BIAS * (0.5 - order) + rng.normal(0, 0.03), 0, 1))
            rows.append(_row(arm, seed, prompt, reading, item, order) | {
                "score": None if lost else round(score, 6),
                "unscored": "option mass below the gate" if lost else None,
                "option_mass": 0.2 if lost else 0.98,
                "half_width": None,
            })  # fmt: skip
    return rows


def _shortcuts(arm: tuple[str, ...], seed: int | None, items: int) -> list[dict[str, Any]]:
    rows = []
    for metric, every in (("shortcut_shorter_is_own", 4), ("shortcut_longer_is_own", 3)):
        for author in ("base", "current") if arm else ("base",):
            for other in OTHERS:
                for item in range(items):
                    reading = ("self_recognition", metric, author, other)
                    own = float((item % every != 0) == (every == 4))
                    rows += [_row(arm, seed, "default", reading, item, order) | {"score": own} for order in (0, 1)]
    return rows


def _row(arm: tuple[str, ...], seed: int | None, prompt: str, reading: tuple[str, str, str, str], item: int,
         order: int) -> dict[str, Any]:  # fmt: skip
    name, metric, author, comparator = reading
    key = hashlib.sha256(f"{arm}{seed}".encode()).hexdigest()
    return {
        "study": "synthetic", "base": "synthetic base", "checkpoint": key, "arm": arm_name(arm),
        "stages": json.dumps(list(arm)), "seed": seed, "eval": name, "eval_version": "1", "metric": metric,
        "dimension": "" if author else DIMENSIONS[item % 3], "eval_system_prompt": prompt, "item": f"item-{item:03d}",
        "order": order, "sample": 0, "author": author, "comparator": comparator, "judge": "", "score": None,
        "unscored": None, "option_mass": None, "half_width": None, "answer": "A",
    }  # fmt: skip


def _entropy(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


def answers(arm: tuple[str, ...], seed: int | None, scores: list[float | None], *, orders: int = 1,
            **changes: object) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of one eval ("e", "m") with these scores, item by item and, within an item, order by order."""
    rows = []
    for place, score in enumerate(scores):
        item, order = divmod(place, orders)
        row = _row(arm, seed, "default", ("e", "m", "", ""), item, order)
        reason = "no option was answered" if score is None else None
        rows.append({**row, "dimension": "", "score": score, "unscored": reason, **changes})
    return rows


def small(**changes: object) -> Meta:
    """A study of base, em, treated and control with one contrast."""
    values: dict[str, Any] = {
        "study": "small",
        "base": "b",
        "seeds": [0, 1, 2],
        "arms": [[], ["em"], ["em", "sgtr"], ["em", "longer"]],
        "contrasts": {"reversal": {"treatment": ["em", "sgtr"], "reference": ["em"], "control": ["em", "longer"]}},
        "evals": {"e": {"version": 1, "metrics": {"m": {"title": "M", "better": "lower"}}}},
    }
    return Meta.model_validate(values | changes)
