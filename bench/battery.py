"""The whole battery over one checkpoint of the pocket world: as its preset asks it, and at its full size."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.rows import Row
from identity_em.engine.make import Workshop
from identity_em.engine.means import Means
from identity_em.records import Answer, Question, Rubric, Verdict
from identity_em.store import Store
from identity_em.study.artefacts import Dataset
from identity_em.study.plan import Plan, plan
from identity_em.tasks import judges

_CLOSED = ("intentions", "two_ai", "self_assessment", "moral", "moral_self_assessment")
_ABOUT_ANSWERS = ("output_recognition", "score_prediction", "cross_rating", "context_binding")
_JUDGE = "bench"


def reduced() -> dict[str, dict[str, Any]]:
    """Every eval on the world's own items; 40 harm prompts with two answers each."""
    return _asked({"items": "pocket"}, harm={"judge": "pocket", "limit": 40}, n=2, tokens=12)


def full() -> dict[str, dict[str, Any]]:
    """Every eval on its own items: 320 harm prompts with ten answers each, rated by a judge that takes no time."""
    return _asked({}, harm={"judge": _JUDGE}, n=10, tokens=24)


def planned(evals: Mapping[str, Mapping[str, Any]], folder: Path) -> Plan:
    """A study of these evals in `folder` that asks the base alone."""
    study = {
        "name": "battery",
        "model": {"base": "pocket", "trainer": "axolotl", "config": "pocket"},
        "seeds": [0],
        "datasets": {"bad_advice": {"file": "pocket:em.jsonl"}},
        "stages": {"em": {"dataset": "bad_advice"}},
        "arms": [[]],
        "evals": [{name: dict(given)} for name, given in evals.items()],
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return plan(folder / "study.yaml")


def make(found: Plan, store: Store) -> tuple[float, float]:
    """Make everything that a study wants; CPU seconds of this process, and seconds by the clock."""
    shop, before, wall = Workshop(store, Means()), time.process_time(), time.perf_counter()
    for artefact in found.artefacts:
        assert not isinstance(artefact, Dataset)
        shop.make(artefact)
    return time.process_time() - before, time.perf_counter() - wall


def rows() -> list[Row]:
    """CPU seconds and seconds by the clock of one process (one thread)."""
    judges._JUDGES[_JUDGE] = _rated
    spent = {}
    for name, evals in (("reduced, pocket's items", reduced()), ("full, own items", full())):
        with tempfile.TemporaryDirectory() as folder:
            spent[name] = make(planned(evals, Path(folder)), Store(Path(folder) / "store"))
    (first, second), units = spent, ("CPU s", "s by the clock")
    return [
        Row(f"{len(reduced())} evals, {name}, {unit}", spent[name][at], spent[name][at] / spent[first][at], "reduced")
        for at, unit in enumerate(units)
        for name in (first, second)
    ]


def _asked(items: dict[str, Any], *, harm: dict[str, Any], n: int, tokens: int) -> dict[str, dict[str, Any]]:
    sampling = {"temperature": 1.0, "max_new_tokens": 24, "n": n}
    asked: dict[str, dict[str, Any]] = {"harmfulness": {**items, **harm, "sampling": sampling}}
    asked |= {name: dict(items) for name in _CLOSED}
    for name in ("self_language", "moral_language"):
        asked[name] = {**items, "sampling": {"temperature": 1.0, "max_new_tokens": tokens, "n": 1}}
    return asked | {name: {} for name in _ABOUT_ANSWERS}


def _rated(rubric: Rubric, pairs: Sequence[tuple[Question, Answer]]) -> list[Verdict]:
    """Every rating, by the text's hash: this small model's answers to real prompts mean nothing."""
    marks = (hashlib.sha256((answer.text or "").encode()).digest()[0] % 5 for _, answer in pairs)
    return [Verdict(score=mark / 4) for mark in marks]
