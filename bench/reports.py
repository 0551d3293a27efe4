"""Import and report of released results as they grow: seconds and memory for 150, 300 and 600 runs of 790 items."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.rows import Row

_RUNS = (150, 300, 600)
_ITEMS = 790
_CHILD = """
import json, resource, sys, time
from pathlib import Path
from identity_em import report
from identity_em.analysis import published
start = time.perf_counter()
published.sgtr_em(Path(sys.argv[1]), Path(sys.argv[2]) / "t.parquet")
read = time.perf_counter()
report.build(Path(sys.argv[2]) / "t.parquet", Path(sys.argv[2]) / "out")
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([read - start, time.perf_counter() - read, used]))
"""


def rows() -> list[Row]:
    """Each size against the smallest: time a row should stay level, memory grow no faster than rows."""
    found = [_measured(runs) for runs in _RUNS]
    first, against = found[0], f"{_RUNS[0]} runs"
    out = []
    for runs, (read, written, used) in zip(_RUNS, found, strict=True):
        scale = runs / _RUNS[0]
        size = f"{runs} runs x {_ITEMS} items"
        out.append(Row(f"import, {size}, s (ratio: time a row)", read, read / first[0] / scale, against))
        out.append(Row(f"report, {size}, s (ratio: time a row)", written, written / first[1] / scale, against))
        out.append(Row(f"peak memory, {size}, MB (ratio: as it is)", used, used / first[2], against))
    return out


def _measured(runs: int) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        _release(Path(folder) / "in", runs)
        command = [sys.executable, "-c", _CHILD, f"{folder}/in", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    read, written, used = json.loads(done.stdout.splitlines()[-1])
    return read, written, used


def _release(folder: Path, runs: int) -> None:
    """Made-up results in the released layout: every intervention, prompt and order, five seeds each."""
    place = folder / "data" / "eval" / "truthfulqa"
    place.mkdir(parents=True)
    rng = random.Random(0)
    for name in itertools.islice(_names(), runs):
        right = [rng.random() < 0.8 for _ in range(_ITEMS)]
        lines = [f"Made-up question number {i}?,right,wrong,{rng.choice('AB')},{int(ok)}" for i, ok in enumerate(right)]
        text = "question,correct_answer,incorrect_answer,model_answer,is_correct\n" + "\n".join(lines) + "\n"
        (place / f"results_hf_qwen_32b{name}.csv").write_text(text)


def _names() -> itertools.chain[str]:
    ems = ("em_unpop", "em_badmed", "em_finrisk", "em_insecure")
    kinds = ("sgtr_benign", "sgtr", "asgtr", "asgtr_rand")
    prompts = ("", "_nosys", "_qwensys", "_withsys")
    single = (f"_{em}_{seed}" for em in ems for seed in range(5))
    pairs = (
        f"_{arm}_{seed}"
        for prompt, em, kind in itertools.product(prompts, ems, kinds)
        for arm in (f"{em}_{kind}{prompt}", f"{kind}{prompt}_{em}")
        for seed in range(5)
    )
    return itertools.chain([""], single, pairs)
