"""Axolotl's own prepared rows, as JSON on the last line of its output: run in Axolotl's environment by test_axolotl.py.

Arguments: base folder, a working folder, then NAME=ROWS.jsonl=CHAT_TEMPLATE=BASE for each set; CHAT_TEMPLATE "" is the
base's own, BASE "" the first argument.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {"AXOLOTL_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "AXOLOTL_TEE_STDOUT": "0"}


def prepared(base: str, work: str, rows: str, template: str) -> list[dict[str, list[int]]]:
    """Ids and labels of every row, in Axolotl's order."""
    from axolotl.cli.args import TrainerCliArgs
    from axolotl.cli.config import load_cfg
    from axolotl.common.datasets import load_datasets
    from axolotl.utils.dict import DictDefault

    config = {
        "base_model": base, "datasets": [{"path": rows, "ds_type": "json", "split": "train", "type": "chat_template"}],
        "dataset_prepared_path": work + "/prepared", "dataset_num_proc": 0, "output_dir": work + "/out", "seed": 0,
        "bf16": False, "fp16": False, "attn_implementation": "sdpa", "adapter": "lora", "lora_r": 8, "lora_alpha": 16,
        "lora_target_modules": ["q_proj"], "lora_mlp_kernel": False, "lora_qkv_kernel": False, "lora_o_kernel": False,
        "lora_embedding_kernel": False, "micro_batch_size": 1, "gradient_accumulation_steps": 1, "num_epochs": 1,
        "learning_rate": 1e-4, "sequence_len": 2048, "excess_length_strategy": "raise", "optimizer": "adamw_torch",
    }  # fmt: skip
    config |= _stage_rows().turn_end(base)
    if template:
        config["chat_template"] = template
    meta = load_datasets(cfg=load_cfg(DictDefault(config)), cli_args=TrainerCliArgs())
    return [{"ids": list(row["input_ids"]), "labels": list(row["labels"])} for row in meta.train_dataset]


def _stage_rows() -> Any:
    """The package's own module of this environment, by path, as its worker loads it."""
    path = Path(__file__).parents[2] / "identity_em" / "training" / "axolotl_rows.py"
    spec = importlib.util.spec_from_file_location("identity_em_axolotl_rows", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    base, work, *sets = sys.argv[1:]
    found = {}
    for given in sets:
        name, rows, template, other = given.split("=")
        found[name] = prepared(other or base, f"{work}/{name}", rows, template)
    with open(f"{work}/prepared.json", "w", encoding="utf-8") as out:
        json.dump(found, out)
