"""Rows built and written per second, and peak memory, as articles grow: each size in a process of its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.rows import Row

SIZES = (1_000, 10_000, 100_000)
_WORDS = 300  # a news article of the length of XSum's


def rows() -> list[Row]:
    """CPU seconds of building and writing alone; memory above that of an interpreter with the inputs loaded."""
    told = {size: _measured(size) for size in SIZES}
    first = told[SIZES[0]]["rate"]
    # At small sizes the peak is the inputs' own and nothing is left to measure, so the largest is the measure.
    most = told[SIZES[-1]]["kilobytes"] or 1.0
    made = [
        Row(f"sgtr, {size:,} articles: rows built and written a CPU second", told[size]["rate"],
            told[size]["rate"] / first, f"{SIZES[0]:,} articles")
        for size in SIZES
    ]  # fmt: skip
    made += [
        Row(f"sgtr, {size:,} articles: peak kB a row, inputs aside", told[size]["kilobytes"],
            told[size]["kilobytes"] / most, f"{SIZES[-1]:,} articles")
        for size in SIZES
    ]  # fmt: skip
    return [*made, _audit()]


def _audit() -> Row:
    """The leak guard at the size that it must manage in a minute."""
    import random

    from identity_em.interventions import leaks
    from identity_em.records import Example, Message

    rng = random.Random(0)
    words = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"]
    texts = [" ".join(rng.choices(words, k=12)) for _ in range(12_000)]
    items = [leaks.Item(id=str(i), question=text, answers=(text,)) for i, text in enumerate(texts[:2_000])]
    told = [
        Example(messages=(Message(role="user", content=text), Message(role="assistant", content=text)))
        for text in texts[2_000:]
    ]
    started = time.process_time()
    leaks.find(told, items, name="bench")
    spent = time.process_time() - started
    return Row("leaks, 10,000 rows x 2,000 items, both sides: CPU s", spent, spent / 60, "one minute")


def _measured(size: int) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "bench.building", str(size)], capture_output=True, text=True, check=True, env=environment
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _build(size: int) -> dict[str, float]:
    from identity_em.interventions import folder, recipes

    words = " ".join(f"word{i % 97}" for i in range(_WORDS))
    articles = {str(i): f"{i} {words}" for i in range(size)}
    own = {name: f"The council decided on matter {name} after a short debate." for name in articles}
    other = {name: f"Matter {name} was decided by the council, which debated it at some length." for name in articles}
    inputs: recipes.Inputs = {"articles": articles, "self": own, "other": other}
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        built = recipes.build("sgtr", inputs, {}, 0)
        folder.write_into(Path(scratch), built, recipe="sgtr", inputs=inputs, params={}, data_seed=0)
    spent = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"rate": len(built) / spent, "kilobytes": peak / len(built)}


if __name__ == "__main__":
    print(json.dumps(_build(int(sys.argv[1]))))
