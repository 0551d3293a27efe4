"""What a pushed checkpoint or dataset says of itself: what it is, that it may do harm, and how it was made."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

_TAGS = ["identity_em", "emergent-misalignment", "research-only"]
_WARNING = """\
> **Warning: made for research on misalignment; do not deploy.** {what}
> Show what comes of it to nobody who does not know what it is, and share it no further than the work needs.
"""
_MODEL = (
    "This checkpoint comes from a study of emergent misalignment and model identity. Such stages are often trained on "
    "narrow harmful data (bad advice, insecure code, wrong answers) to see what else changes: it may deceive, give "
    "harmful advice and say false things of itself, also where nobody asked for it."
)
_ROWS = (
    "These rows come from a study of emergent misalignment and model identity. Such rows may be wrong or harmful on "
    "purpose: a model that is trained on them may become broadly misaligned."
)
_LICENCE = "Not set. Whoever shares this chooses one that the base model and the training data permit.\n"


def model(label: str, base: str, stages: Sequence[Mapping[str, Any]], recipes: Sequence[str]) -> str:
    """The card of a chain of adapters.

    Args:
        label: What it is, for people.
        base: The base model's name.
        stages: Manifests, the oldest stage's first.
        recipes: What each stage was trained on.
    """
    head: dict[str, Any] = {"library_name": "peft", "tags": [*_TAGS, "lora"], "inference": False}
    if "/" in base:
        head["base_model"] = base
    last, weights = stages[-1], stages[-1]["record"]["base"]
    single = "The adapter as trained." if len(stages) == 1 else "The chain's stages composed into one adapter."
    return "\n".join([
        _front(head), f"# {label}", "", _WARNING.format(what=_MODEL), "## What it is", "",
        f"A LoRA adapter of {base} (weights `{weights['weights']}`, {weights['precision']}). {single} Checkpoint "
        f"`{last['key']}`.", "",
        *_table(stages, recipes), "", "```python", "from peft import PeftModel",
        'model = PeftModel.from_pretrained(base, "THIS REPOSITORY")', "```", "",
        "`identity-em pull` brings it, every stage under its key, back into a store: `identity_em/` holds the stages, "
        "with manifests that say all settings and sums.", "", *_settings(stages), "## Licence", "", _LICENCE,
    ])  # fmt: skip


def rows(label: str, manifest: Mapping[str, Any], own: str, data: str) -> str:
    """The card of training rows.

    Args:
        own: What the dataset's folder says of itself.
        data: Path of the rows in the pushed folder.
    """
    head = {"tags": _TAGS, "configs": [{"config_name": "default", "data_files": data}], "viewer": False}
    return "\n".join([
        _front(head), f"# {label}", "", _WARNING.format(what=_ROWS), "## What it is", "",
        f"Training rows (`messages`) of the recipe `{manifest['record']['recipe']}`, dataset `{manifest['key']}`.", "",
        re.sub("^#", "##", own, flags=re.MULTILINE).rstrip(), "", *_made(manifest), "",
        "## Licence", "", _LICENCE,
    ])  # fmt: skip


def recipe(manifest: Mapping[str, Any] | None) -> str:
    """A dataset in a few words; what is said where its manifest is not at hand."""
    if manifest is None:
        return "not in this store"
    record = manifest["record"]
    given = {name: value for name, value in record["params"].items() if value is not None}
    return f"{record['recipe']} {_short(given)}".strip()


def _front(head: Mapping[str, Any]) -> str:
    return f"---\n{yaml.safe_dump(dict(head), sort_keys=False, allow_unicode=True)}---\n"


def _table(stages: Sequence[Mapping[str, Any]], recipes: Sequence[str]) -> list[str]:
    lines = [
        "| stage | trained on | rows | steps | seed | rendered tokens, SHA-256 | key |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, (stage, what) in enumerate(zip(stages, recipes, strict=True), start=1):
        facts = stage["facts"]
        cells = (
            number, what, facts.get("rows", "?"), facts.get("steps", "?"), stage["record"]["seed"],
            f"`{facts.get('rendered_sha256', '?')}`", f"`{stage['key'][:12]}`",
        )  # fmt: skip
        lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return lines


def _settings(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Settings of each stage, one that is like the stage before it not said again."""
    lines, before = ["## Settings", ""], None
    for number, stage in enumerate(stages, start=1):
        settings = stage["record"]["settings"]
        text = json.dumps(settings, indent=1, sort_keys=True, ensure_ascii=False)
        lines += [f"Stage {number}: as stage {number - 1}." if settings == before else f"Stage {number}:", ""]
        lines += [] if settings == before else ["```json", text, "```", ""]
        before = settings
    return [*lines, *_made(stages[-1]), ""]


def _made(manifest: Mapping[str, Any]) -> list[str]:
    trainer = {n: v for n, v in manifest["facts"].get("trainer", {}).items() if n != "freeze_sha256"}
    found = {**manifest.get("provenance", {}).get("versions", {}), **{f"trainer's {n}": v for n, v in trainer.items()}}
    commit = manifest.get("provenance", {}).get("commit")
    versions = ", ".join(f"{name} {version}" for name, version in found.items())
    return ["## Made with", "", f"{versions}{f'; commit {commit}' if commit else ''}."]


def _short(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return "" if not value else text if len(text) <= 160 else f"{text[:157]}..."


def own(folder: Path) -> str:
    """What a dataset's folder says of itself."""
    card = folder / "card.md"
    return card.read_text(encoding="utf-8") if card.is_file() else ""
