"""16 arms x 3 seeds, from study file to report: two local workers, one, and bare Axolotl runs with evals in a loop.

The loop is what a shell script does: for each arm and seed a bare `axolotl train`, then a process that loads base and
adapter and asks the same questions in both orders, one token each. It gets its rows for nothing, and it writes no
table and no report. Every fourth of its 48 rounds is run, and the rest counted as long.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from bench import stages
from bench.rows import Row
from identity_em.interventions import folder as dataset_folder
from identity_em.interventions import recipes
from identity_em.resources import folder
from identity_em.training.settings import settings

SEEDS, EACH = (0, 1, 2), 4
_DATA = {"bad": "em.jsonl", "good": "realign.jsonl"}
_RATES = (0.0005, 0.001, 0.0015, 0.002, 0.0025, 0.003, 0.0035, 0.004)
ARMS = [(name, rate) for name in _DATA for rate in _RATES]


def rows() -> list[Row]:
    """Wall seconds of the whole study, each way."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        file = _study(scratch)
        two, one = (_ours(file, scratch / f"workers-{count}", count) for count in (2, 1))
        loop = _loop(scratch)
    count = f"{len(ARMS)} arms x {len(SEEDS)} seeds"
    return [
        Row(f"{count}, one local worker, wall s", one, 1.0, "one worker"),
        Row(f"{count}, two local workers, wall s", two, two / one, "one worker"),
        Row(f"{len(ARMS) * len(SEEDS)} bare runs and evals in a loop, one after another, wall s", loop, 1.0, "loop"),
        Row(f"{count}, one local worker, wall s", one, one / loop, "loop"),
        Row(f"{count}, two local workers, wall s", two, two / loop, "loop"),
    ]


def _study(scratch: Path) -> Path:
    """Two narrow sets, each at eight learning rates."""
    arms = {f"{name}_{number}": (name, rate) for number, (name, rate) in enumerate(ARMS)}
    body = {
        "name": "rates",
        "model": {"base": "pocket", "trainer": "axolotl", "config": "pocket"},
        "seeds": list(SEEDS),
        "datasets": {name: {"file": f"pocket:{file}"} for name, file in _DATA.items()},
        "stages": {arm: {"dataset": name, "settings": {"learning_rate": rate}} for arm, (name, rate) in arms.items()},
        "arms": [[], *([arm] for arm in arms)],
        "evals": [{"truthfulqa": {"items": "pocket"}}],
    }
    file = scratch / "rates.yaml"
    file.write_text(yaml.safe_dump(body))
    return file


def _ours(file: Path, place: Path, workers: int) -> float:
    where = ["--store", str(place / "store"), "--out", str(place / "out"), "--workers", str(workers)]
    return _wall([sys.executable, "-m", "identity_em", "run", str(file), *where, "--quiet"])


def _loop(scratch: Path) -> float:
    for name, file in _DATA.items():
        data = scratch / name
        data.mkdir()
        source = {"rows": folder("pocket") / "data" / file}
        built = recipes.build("narrow", source, {}, 0)
        dataset_folder.write_into(data, built, recipe="narrow", inputs=source, params={}, data_seed=0)
    rounds = list(itertools.product(ARMS, SEEDS))[::EACH]
    spent = 0.0
    for number, ((name, rate), seed) in enumerate(rounds):
        out, began = scratch / f"bare-{number}", time.perf_counter()
        stages.bare(scratch / name / "rows.jsonl", out, seed, chosen=settings("pocket", {"learning_rate": rate}))
        spent += time.perf_counter() - began
        spent += _wall([sys.executable, "-m", "bench.matrix", str(out)])
    return spent * EACH


def _wall(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.perf_counter() - began


def _ask(adapter: Path) -> None:
    """The loop's eval: every question of the study, both orders, one token each."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from bench import peers
    from identity_em import battery
    from identity_em.study import plan as planning

    planned = planning.plan(_study(adapter.parent))
    prompts: Any = planned.readings[0].scores.responses.prompts
    items = {name: source.checked() for name, source in prompts.inputs.items()}
    base = AutoModelForCausalLM.from_pretrained(stages.BASE)
    model = PeftModel.from_pretrained(base, str(adapter)).eval()
    peers.one_token(model, AutoTokenizer.from_pretrained(stages.BASE))(
        battery.get(prompts.name).questions(prompts, items)
    )


if __name__ == "__main__":
    _ask(Path(sys.argv[1]))
