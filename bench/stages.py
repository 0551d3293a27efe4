"""Six chained stages through one warm trainer, beside six bare `axolotl train` runs on the same rows and settings."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from bench.rows import Row
from identity_em.interventions import folder as dataset_folder
from identity_em.interventions import recipes
from identity_em.resources import folder
from identity_em.training.axolotl import Trainer
from identity_em.training.environment import require_trainer
from identity_em.training.jobs import Job
from identity_em.training.settings import settings

STAGES = 6
BASE = folder("pocket") / "weights" / "world-0"


def rows() -> list[Row]:
    """CPU seconds of all child processes (single thread each), and wall seconds."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        data = scratch / "data"
        data.mkdir()
        source = {"rows": folder("pocket") / "data" / "em.jsonl"}
        built = recipes.build("narrow", source, {}, 0)
        dataset_folder.write_into(data, built, recipe="narrow", inputs=source, params={}, data_seed=0)
        alone = _measured(lambda: [bare(data / "rows.jsonl", scratch / f"bare-{i}", i) for i in range(STAGES)])
        ours = _measured(lambda: _chained(data / "rows.jsonl", scratch))
        kept = sum(p.stat().st_size for i in range(STAGES) for p in (scratch / f"ours-{i}").iterdir()) / 1e6
    merged = STAGES * (BASE / "model.safetensors").stat().st_size / 1e6
    return [
        Row(f"{STAGES} bare `axolotl train`, CPU s", alone[0], 1.0, "bare"),
        Row(f"{STAGES} chained stages, warm trainer, CPU s", ours[0], ours[0] / alone[0], "bare"),
        Row(f"{STAGES} bare `axolotl train`, wall s", alone[1], 1.0, "bare"),
        Row(f"{STAGES} chained stages, warm trainer, wall s", ours[1], ours[1] / alone[1], "bare"),
        Row(f"stored after {STAGES} stages, a merged checkpoint each, MB", merged, 1.0, "merged"),
        Row(f"stored after {STAGES} stages, adapters and proofs, MB", kept, kept / merged, "merged"),
    ]


def _measured(work: Any) -> tuple[float, float]:
    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    cpu, wall = spent(), time.perf_counter()
    work()
    return spent() - cpu, time.perf_counter() - wall


def _chained(rows_file: Path, scratch: Path) -> None:
    with Trainer() as trainer:
        chain: tuple[Path, ...] = ()
        for i in range(STAGES):
            job = Job(
                settings=settings("pocket"),
                base=str(BASE),
                base_name="pocket",
                rows=rows_file,
                chain=chain,
                seed=i,
                precision="fp32",
                out=scratch / f"ours-{i}",
                work=scratch / f"work-{i}",
                log=scratch / f"{i}.log",
            )
            trainer.train(job)
            chain = (*chain, job.out)


def bare(rows_file: Path, out: Path, seed: int, *, base: Path = BASE, chosen: dict[str, Any] | None = None) -> str:
    """Axolotl as its documentation says, the stage on the base; what it printed. Its config lies beside `out`."""
    ours = chosen or settings("pocket")
    body: dict[str, Any] = {name: value for name, value in ours.items() if name not in ("overlong", "system_block")}
    # A name without a path: one with "mpt" in it would make the base an MPT to Axolotl.
    (link := out.with_suffix(".base")).symlink_to(base)
    body |= {"base_model": link.name, "seed": seed, "output_dir": str(out), "dataset_prepared_path": f"{out}-prepared"}
    body["datasets"] = [{**ours["datasets"][0], "path": str(rows_file), "ds_type": "json", "split": "train"}]
    config = out.with_suffix(".yml")
    config.write_text(yaml.safe_dump(body))
    said = axolotl("train", config)
    if "Model successfully saved to" not in said:
        raise RuntimeError(f"the bare run failed: {said[-2000:]}")
    return said


def axolotl(command: str, config: Path, *words: str) -> str:
    """Run Axolotl's own command beside its config; what it printed."""
    quiet = {"AXOLOTL_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    python = require_trainer()
    done = subprocess.run(
        [str(python.parent / "axolotl"), command, str(config), *words],
        cwd=config.parent, capture_output=True, text=True, check=False,
        env={**os.environ, **quiet, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    said = done.stdout + done.stderr
    if done.returncode:
        raise RuntimeError(f"`axolotl {command}` failed: {said[-2000:]}")
    return said
