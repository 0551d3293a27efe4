"""A base that one GPU is too small for, as far as it can be tried without one: where everything lies, and when."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from identity_em.models.loading import _places
from identity_em.study.artefacts import BaseModelRef


def test_every_operation_finds_its_tensors_on_one_gpu(tiny: Path, adapters: list[Path], tmp_path: Path) -> None:
    """On two made-up ones, the real code, hooks of accelerate and PEFT included."""
    script, root = Path(__file__).with_name("spread_live.py"), str(Path(__file__).parents[2])
    words = [sys.executable, str(script), str(tiny), str(tmp_path / "activations.npy"), *map(str, adapters[:2])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("name", "precision", "gpus", "gib", "spread"),
    [
        ("Qwen2.5-32B", "bf16", 1, 80, False), ("Qwen2.5-32B", "bf16", 8, 80, False),
        ("Qwen2.5-32B", "bf16", 2, 45, True), ("Llama-3.1-70B", "bf16", 4, 80, True),
        ("Llama-3.1-70B", "4bit", 4, 80, False), ("Unheard-of", "bf16", 4, 80, False),
    ],
)  # fmt: skip
def test_a_base_is_spread_over_gpus_only_where_one_is_too_small(
    name: str, precision: str, gpus: int, gib: int, spread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=gib * 2**30))
    base = BaseModelRef(name=name, weights="w", tokenizer="t", precision=precision, path=f"hub/{name}")
    assert (_places(base, torch.device("cuda")) == "balanced") is spread
    assert _places(base, torch.device("cuda:1")) == {"": torch.device("cuda:1")}
