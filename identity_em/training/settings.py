"""Axolotl settings for one stage: the base recipe, a model's overrides, a study's overrides, every key checked.

Axolotl drops an unknown key without a word, so keys are checked against the list shipped for its version; planning
needs no Axolotl.
"""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from identity_em.errors import ConfigError
from identity_em.resources import resource
from identity_em.training import bounds, placement
from identity_em.training.placement import Placement

Precision = Literal["fp32", "bf16", "4bit"]
Kind = Literal["config", "dataset", "number", "whole"]
KEYS = "keys-0.19.0.json"
TEMPLATE = "chat_template_jinja"
OURS: Mapping[str, tuple[object, ...]] = {"overlong": ("refuse", "drop"), "system_block": (True, False)}
# What the study, the store or the worker decides.
OWNED = frozenset(
    {
        "auto_resume_from_checkpoints",
        "axolotl_config_path",
        "base_model",
        "base_model_config",
        "dataset_num_proc",
        "dataset_prepared_path",
        "dataset_processes",
        "deepspeed",
        "excess_length_strategy",
        "fsdp",
        "fsdp_config",
        "fsdp_version",
        "hub_model_id",
        "is_preprocess",
        "local_rank",
        "lora_model_dir",
        "merge_lora",
        "model_revision",
        "output_dir",
        "plugins",
        "pretraining_dataset",
        "push_dataset_to_hub",
        "resume_from_checkpoint",
        "revision_of_model",
        "seed",
        "skip_prepare_dataset",
        "strict",
        "test_datasets",
        "tokenizer_config",
        "trust_remote_code",
        "use_ray",
        "world_size",
    }
)
OWNED_DATASET = frozenset(
    {
        "data_files",
        "ds_type",
        "name",
        "path",
        "preprocess_shards",
        "revision",
        "shards",
        "shards_idx",
        "split",
        "trust_remote_code",
    }
)


def settings(
    config: str, overrides: Mapping[str, object] | None = None, *, file: Path | None = None, line: int | None = None
) -> dict[str, Any]:
    """The resolved settings of a stage: base.yaml, then `config`.yaml, then the study's overrides; no placement.

    Args:
        config: Name of a file in axolotl_configs, without its ending.
        overrides: The study's own settings for this stage.
        file: The study file, for errors.
        line: 1-based line in it.

    Raises:
        ConfigError: A key that Axolotl does not know, or that the package itself sets; a value that cannot be.
        InputError: There is no such config.
    """
    merged = _merged(config, overrides or {}, file, line)
    precision_of(merged, file=file, line=line)
    return {name: value for name, value in merged.items() if name not in placement.KEYS}


def placed(
    config: str, overrides: Mapping[str, object] | None = None, *, file: Path | None = None, line: int | None = None
) -> Placement:
    """Where a stage with these settings is trained; arguments as `settings`.

    Raises:
        ConfigError: As `settings`, and what `placement.of` refuses.
    """
    return placement.of(_merged(config, overrides or {}, file, line), file=file, line=line)


def sharding(name: str) -> dict[str, Any]:
    """Axolotl's own keys for a way to share a base among GPUs."""
    path = resource("axolotl_configs", f"sharding/{name}.yaml")
    keys: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return keys


def precision_of(resolved: Mapping[str, object], *, file: Path | None = None, line: int | None = None) -> Precision:
    """What the base is loaded in under these settings; `4bit` is nf4 with double quantisation, computed in bf16.

    Raises:
        ConfigError: float16, `auto`, 8 bits, or half of what 4 bits need.
    """
    for name in ("fp16", "float16", "bfloat16", "load_in_8bit", "bnb_config_kwargs"):
        if resolved.get(name):
            raise ConfigError(
                found=f"{name}: {resolved[name]}",
                wanted="bf16: true or false, or load_in_4bit: true",
                do=f"leave {name} out",
                file=file,
                line=line,
            )
    if not isinstance(resolved.get("bf16"), bool):
        found = f"bf16: {resolved.get('bf16')}"
        raise ConfigError(found=found, wanted="bf16: true or false", do="say which", file=file, line=line)
    four = bool(resolved.get("load_in_4bit"))
    if four != (resolved.get("adapter") == "qlora") or (four and not resolved["bf16"]):
        raise ConfigError(
            found=", ".join(f"{name}: {resolved.get(name)}" for name in ("load_in_4bit", "adapter", "bf16")),
            wanted="load_in_4bit, adapter: qlora and bf16 together", do="give all three or only bf16", file=file,
            line=line,
        )  # fmt: skip
    return "4bit" if four else "bf16" if resolved["bf16"] else "fp32"


def _merged(config: str, overrides: Mapping[str, object], file: Path | None, line: int | None) -> dict[str, Any]:
    merged = {name: value for layer in dict.fromkeys(("base", config)) for name, value in _layer(layer).items()}
    return merged | _checked(overrides, file, line)


@cache
def known_keys() -> dict[Kind, frozenset[str]]:
    """The keys that Axolotl 0.19.0 reads, at the top and in a `datasets` entry; which at the top are numbers.

    Source: `AxolotlInputConfig.model_fields` and `SFTDataset.model_fields`, written out by axolotl_keys.py.
    """
    lists = json.loads(resource("axolotl_configs", KEYS).read_text(encoding="utf-8"))
    return {kind: frozenset(lists[kind]) for kind in get_args(Kind)}


@cache
def _layer(name: str) -> dict[str, Any]:
    """A file of axolotl_configs, checked: read once, however many checkpoints are planned with it."""
    path = resource("axolotl_configs", f"{name}.yaml")
    layer: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return _checked(layer, path, None)


def _checked(layer: Mapping[str, Any], file: Path | None, line: int | None) -> dict[str, Any]:
    """The layer with its numbers read as such."""
    _check(layer, file, line)
    known = known_keys()
    found = {n: bounds.read(n, v, wholes=known["whole"], numbers=known["number"]) for n, v in layer.items()}
    for name, value in found.items():
        if words := bounds.wanted(name, value, wholes=known["whole"], numbers=known["number"]):
            raise ConfigError(found=f"{name}: {value}", wanted=words, do="mend the value", file=file, line=line)
    return found


def _check(layer: Mapping[str, object], file: Path | None, line: int | None) -> None:
    for name, value in layer.items():
        if name in OURS:
            if value not in OURS[name]:
                wanted = " or ".join(str(choice).lower() for choice in OURS[name])
                raise ConfigError(found=f"{name}: {value}", wanted=wanted, do="choose one", file=file, line=line)
        elif name not in placement.KEYS:
            _check_key(name, known_keys()["config"] | OURS.keys() | placement.KEYS, OWNED, file, line)
    entries = layer.get("datasets", [{}])
    if not isinstance(entries, list) or len(entries) != 1 or not isinstance(entries[0], dict):
        wanted = "one entry that says how rows are read"
        raise ConfigError(found="datasets", wanted=wanted, do="name data in the stage's dataset", file=file, line=line)
    for name in entries[0]:
        _check_key(name, known_keys()["dataset"], OWNED_DATASET, file, line)
    for template in (layer.get(TEMPLATE), entries[0].get(TEMPLATE)):
        if template is not None and "{" not in str(template):
            found, wanted = f"{TEMPLATE}: {template}", "the template itself: a file's content is not in the stage's key"
            raise ConfigError(found=found, wanted=wanted, do=f"give its text, as `{TEMPLATE}: |`", file=file, line=line)


def _check_key(name: str, known: frozenset[str], owned: frozenset[str], file: Path | None, line: int | None) -> None:
    if name in owned:
        raise ConfigError(
            found=f"setting {name!r}",
            wanted="settings the package does not own",
            do="leave it out: the study and the store decide it",
            file=file,
            line=line,
        )
    if name not in known:
        near = ", ".join(get_close_matches(str(name), known, n=3)) or "none is near"
        raise ConfigError(
            found=f"setting {name!r}, which Axolotl 0.19.0 does not read and would ignore",
            wanted=f"a key it knows (nearest: {near})",
            do="correct the key",
            file=file,
            line=line,
        )
