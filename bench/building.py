"""Rows built and written per second, and peak memory, as articles grow: each size in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.rows import Row

SIZES = (1_000, 10_000, 100_000)
_WORDS = 300  # a news article of the length of XSum's


def rows() -> list[Row]:
    """CPU seconds of building and writing alone; memory above an interpreter's, and above that with the inputs.

    What grows with the articles is their texts and summaries, held by id; rows pass one by one.
    """
    told = {size: _measured(size) for size in SIZES}
    # Memory is set against the largest: a thousand articles may fit into what the interpreter had already.
    names = {
        "rate": ("rows built and written a CPU second", SIZES[0]),
        "texts": ("MB of articles and summaries held by id", SIZES[-1]),
        "rows": ("peak MB that building and writing rows adds", SIZES[-1]),
    }
    return [
        *(
            Row(f"sgtr, {size:,} articles: {name}", found[key], found[key] / told[base][key], f"{base:,} articles")
            for key, (name, base) in names.items()
            for size, found in told.items()
        ),
        _audit(),
    ]


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

    _written(recipes, folder, _inputs(10))  # imports, wordings and buffers are there before anything is measured
    alone = _peak()
    inputs = _inputs(size)
    held, started = _peak(), time.process_time()
    made = _written(recipes, folder, inputs)
    spent = time.process_time() - started
    return {"rate": made / spent, "texts": held - alone, "rows": max(_peak() - held, 0.1)}


def _inputs(size: int) -> dict[str, dict[str, str]]:
    words = " ".join(f"word{i % 97}" for i in range(_WORDS))
    articles = {str(i): f"{i} {words}" for i in range(size)}
    own = {name: f"The council decided on matter {name} after a short debate." for name in articles}
    other = {name: f"Matter {name} was decided by the council, which debated it at some length." for name in articles}
    return {"articles": articles, "self": own, "other": other}


def _written(recipes: Any, folder: Any, inputs: dict[str, dict[str, str]]) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        built = recipes.stream("sgtr", inputs, {}, 0)
        told = folder.write_into(Path(scratch), built, recipe="sgtr", inputs=inputs, params={}, data_seed=0)
    return int(told.rows)


def _peak() -> float:
    """Peak resident memory of this program so far, in MB (getrusage would give the caller's where that was larger)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    print(json.dumps(_build(int(sys.argv[1]))))
