"""Bases in shares: what can be checked where there is no GPU. Axolotl itself shards on GPUs alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import adapters
from identity_em.errors import ConfigError
from identity_em.models.resident import Resident
from identity_em.study import bases
from identity_em.training.environment import find_trainer
from identity_em.training.placement import Placement
from identity_em.training.settings import placed, settings, sharding


def test_a_live_chain_is_the_same_function_on_a_base_in_shares(base: Path, tmp_path: Path) -> None:
    """Hooks see whole activations, wherever the weights lie: FSDP2 on two processes, over gloo."""
    plain = Resident(bases.named(str(base), "fp32"), device="cpu")._active.model
    chain = [adapters.write(plain, tmp_path / f"adapter-{seed}", seed=seed, rank=8) for seed in (0, 1)]
    script, out = Path(__file__).with_name("sharded_live.py"), tmp_path / "furthest"
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [*words, str(base), str(out), *map(str, chain)], capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    furthest, size = map(float, out.read_text().split())
    assert furthest < 1e-5 * max(1.0, size)


VALIDATED = """
import json, os, sys
from axolotl.cli.config import load_cfg
from axolotl.utils.dict import DictDefault
if __name__ == "__main__":
    found = load_cfg(sys.argv[1])
    names = ("fsdp_version", "fsdp_config", "deepspeed", "gradient_accumulation_steps", "load_in_4bit", "adapter")
    said = {name: found[name] for name in names}
    print("FOUND " + json.dumps(said, default=lambda value: dict(value)))
    os._exit(0)
"""


def validated(base: Path, tmp_path: Path, keys: dict[str, Any]) -> dict[str, Any]:
    """What Axolotl's own validation makes of settings, as one of two processes."""
    python = find_trainer()
    if python is None:
        pytest.skip("no trainer environment: `identity-em setup trainer`")
    own = {"base_model": str(base), "datasets": [{"path": "unused", "type": "chat_template"}], "bf16": False}
    plain = {name: value for name, value in keys.items() if name not in ("overlong", "system_block")}
    (tmp_path / "config.yml").write_text(json.dumps({**plain, **own, "attn_implementation": "sdpa"}))
    (tmp_path / "validate.py").write_text(VALIDATED)
    quiet = {**os.environ, "AXOLOTL_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    quiet.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(python), "-P", str(tmp_path / "validate.py"), str(tmp_path / "config.yml")], capture_output=True,
        text=True, env=quiet, cwd=tmp_path,
    )  # fmt: skip
    assert "FOUND " in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.split("FOUND ")[1].splitlines()[0])
    return found


@pytest.mark.axolotl
def test_axolotl_takes_our_way_of_fsdp2(base: Path, tmp_path: Path) -> None:
    found = validated(base, tmp_path, {**settings("llama-3.1-70b"), **sharding("fsdp2")})
    assert str(found["fsdp_version"]) == "2"
    assert found["fsdp_config"]["reshard_after_forward"] is True


@pytest.mark.axolotl
def test_axolotl_takes_a_base_in_4_bits(base: Path, tmp_path: Path) -> None:
    found = validated(base, tmp_path, settings("llama-3.1-70b-4bit"))
    assert (found["load_in_4bit"], found["adapter"]) == (True, "qlora")


def test_placements_are_no_settings_and_change_no_key() -> None:
    spread = {"gpus": 8, "sharding": "zero3", "checkpoints": 0}
    assert settings("qwen2.5-32b", spread) == settings("qwen2.5-32b")
    assert placed("qwen2.5-32b", spread) == Placement(gpus=8, sharding="zero3")
    assert placed("llama-3.1-70b") == Placement(gpus=2, sharding="fsdp2")


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"gpus": 3}, "a step still takes 16 rows"), ({"gpus": 0}, "wanted at least 1"),
        ({"gpus": 2, "sharding": "ddp"}, "sharding: ddp"), ({"sharding": "fsdp2"}, "gpus: 2 or more"),
        ({"checkpoints": 15}, "a multiple of logging_steps"), ({"fsdp_version": 2}, "does not own"),
        ({"gpus": 2, "sharding": "fsdp2"}, "adamw_torch_8bit in every stage"),
        ({"gpus": 2, "sharding": "zero3", "checkpoints": 10}, "leave checkpoints out"),
        ({"gpus": 2, "sharding": "zero3", "load_in_4bit": True, "adapter": "qlora"}, "4 bits fit one GPU"),
    ],
)  # fmt: skip
def test_a_placement_that_cannot_be_is_refused_in_a_line(odd: dict[str, Any], said: str) -> None:
    find = settings if "own" in said else placed
    with pytest.raises(ConfigError, match=said):
        find("qwen2.5-32b", odd)
