"""Planning a large study, and what the engine itself costs for each artefact."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from bench.building import _peak as peak_mb
from bench.rows import Row

ARMS = (1_000, 10_000)
_SEEDS = [0, 1, 2, 3, 4]


def rows() -> list[Row]:
    """`identity-em plan` of many arms in a process of its own; the loop with workers that make nothing."""
    told = {arms: _measured("plan", arms) for arms in ARMS}
    made = []
    for arms, found in told.items():
        name = f"plan, {arms:,} arms x {len(_SEEDS)} seeds ({found['artefacts']:,.0f} artefacts)"
        made.append(Row(f"{name}: CPU s", found["seconds"], found["seconds"] / 5, "5 s"))
        made.append(Row(f"{name}: wall s", found["wall"], found["wall"] / 5, "5 s"))
        made.append(Row(f"{name}: peak kB an artefact", found["each"], found["each"] / (told[ARMS[0]]["each"] or 1.0),
                        f"{ARMS[0]:,} arms"))  # fmt: skip
    loop = _measured("loop", ARMS[-1])
    made.append(Row(f"the loop alone, {loop['artefacts']:,.0f} artefacts: CPU ms each", loop["each"], loop["each"] / 50,
                    "50 ms"))  # fmt: skip
    local = _measured("local", 40)
    made.append(Row(f"local workers, {local['artefacts']:,.0f} small datasets made and stored: wall ms each",
                    local["each"], local["each"] / 50, "50 ms"))  # fmt: skip
    return made


def study(folder: Path, arms: int) -> Path:
    """A study of so many arms: orderings of up to three of 22 stages."""
    stages = {
        f"s{i}": {"dataset": {"recipe": "sgtr", "corpus": "train", "self": "base", "other": "lumo", "limit": 10 + i}}
        for i in range(22)
    }
    orders = (list(order) for length in (1, 2, 3) for order in itertools.permutations(stages, length))
    articles = {"articles": "pocket:articles_train.json", "wording": "pocket"}
    body = {
        "name": "many",
        "model": {"base": "pocket", "trainer": "axolotl", "config": "pocket"},
        "seeds": _SEEDS,
        "corpora": {"train": {**articles, "summaries": {"lumo": "pocket:summaries_train_lumo.json"}}},
        "stages": stages,
        "arms": [[], *itertools.islice(orders, arms - 1)],
        "evals": [{"truthfulqa": {"items": "pocket", "limit": 24}}],
    }
    file = folder / "many.yaml"
    file.write_text(yaml.safe_dump(body))
    return file


def _measured(what: str, size: int) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "bench.scheduling", what, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _plan(size: int) -> dict[str, float]:
    from rich.console import Console

    from identity_em import display
    from identity_em.study import costs
    from identity_em.study.plan import plan

    with tempfile.TemporaryDirectory() as scratch:
        file = study(Path(scratch), size)
        before = peak_mb()
        started, wall = time.process_time(), time.perf_counter()
        planned = plan(file)
        shown = display.plan_view(planned, costs.costs(planned), costs.parameters(planned))
        with Path(os.devnull).open("w") as nowhere:
            Console(file=nowhere).print(shown)
        spent, wall = time.process_time() - started, time.perf_counter() - wall
    count = len(planned.artefacts)
    return {"seconds": spent, "wall": wall, "artefacts": count, "each": 1024 * (peak_mb() - before) / count}


class _Nothing:
    """Eight workers that have made whatever they are given at once."""

    def __init__(self) -> None:
        self.queue: list[Any] = []

    @property
    def idle(self) -> list[str | None]:
        return [None] * (8 - len(self.queue))

    def submit(self, artefact: Any, near: str | None = None) -> None:
        self.queue.append(artefact)

    def wait(self, timeout: float) -> list[Any]:
        from identity_em.engine.local import Done

        ended, self.queue = self.queue, []
        return [Done(artefact, "made", 0.0) for artefact in ended]

    def close(self) -> None: ...


def _loop(size: int) -> dict[str, float]:
    from identity_em.display import Lines
    from identity_em.engine.run import run
    from identity_em.store import Store
    from identity_em.study.plan import plan

    with tempfile.TemporaryDirectory() as scratch:
        planned = plan(study(Path(scratch), size))
        count, started = len(planned.artefacts), time.process_time()
        told = Lines(planned, lambda line: None)
        done = run(planned.artefacts, Store(Path(scratch) / "store"), lambda left: _Nothing(), tell=told)
        assert len(done.made) == count
    return {"artefacts": count, "each": 1000 * (time.process_time() - started) / count}


def _local(size: int) -> dict[str, float]:
    """Datasets of a few rows, two workers: what is left is the engine, the lock, the checksums and the store."""
    from identity_em.engine.local import Local
    from identity_em.engine.means import Means
    from identity_em.engine.run import run
    from identity_em.resources import folder
    from identity_em.store import Store
    from identity_em.study.artefacts import Dataset, FileRef, sha256_of

    file = folder("pocket") / "data" / "em.jsonl"
    with tempfile.TemporaryDirectory() as scratch:
        few = Path(scratch) / "rows.jsonl"
        few.write_text("".join(line for line in file.read_text().splitlines(keepends=True)[:8]))
        rows = FileRef(path=few, sha256=sha256_of(few))
        wanted = [Dataset(recipe="narrow", inputs={"rows": rows}, data_seed=seed) for seed in range(size + 4)]
        store = Store(Path(scratch) / "store")
        engine = Local(store.root, workers=2, means=Means())
        run(wanted[:4], store, lambda left: _Kept(engine), tell=lambda progress: None)  # the workers' imports
        started = time.perf_counter()
        run(wanted[4:], store, lambda left: engine, tell=lambda progress: None)
        spent = time.perf_counter() - started
    return {"artefacts": size, "each": 1000 * spent / size}


class _Kept:
    """An engine that outlives the run."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.submit, self.wait = engine.submit, engine.wait

    @property
    def idle(self) -> list[str | None]:
        found: list[str | None] = self._engine.idle
        return found

    def close(self) -> None: ...


if __name__ == "__main__":
    print(json.dumps({"plan": _plan, "loop": _loop, "local": _local}[sys.argv[1]](int(sys.argv[2]))))
