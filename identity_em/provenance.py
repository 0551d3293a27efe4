"""What made something: versions, commit and trainer; recorded beside results, never part of a key."""

import hashlib
import os
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import identity_em

_PACKAGES = ("torch", "transformers", "peft", "safetensors", "numpy", "pandas", "scipy")


@cache
def versions() -> dict[str, str]:
    """Versions of this package and of the libraries that decide its numbers."""
    found = {"identity_em": identity_em.__version__}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def commit() -> dict[str, Any]:
    """The checkout's commit and, where files differ from it, the SHA-256 of the difference; empty in a wheel."""
    root = Path(identity_em.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return {}
    head, diff = _git(root, "rev-parse", "HEAD"), _git(root, "diff", "HEAD", "--", "identity_em", "evals", "datasets")
    if head is None:
        return {}
    dirty = {"diff_sha256": hashlib.sha256(diff.encode()).hexdigest()} if diff else {}
    return {"commit": head.strip(), **dirty}


@cache
def here() -> dict[str, Any]:
    """Everything above, for a manifest."""
    return {"versions": versions(), **commit()}


def keep(store: Path, text: str, ending: str) -> str:
    """Keep a text in the store under its own SHA-256, once.

    Returns:
        The SHA-256, 64 hex digits.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = store / "provenance" / f"{digest}{ending}"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    return digest


def _git(root: Path, *command: str) -> str | None:
    try:
        run = subprocess.run(["git", *command], cwd=root, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout


def trainer(store: Path, python: Path | None) -> dict[str, str]:
    """Axolotl's libraries: the ones that decide numbers by name, all of them in the store by digest."""
    from identity_em.training.environment import freeze, require_trainer

    lines = freeze(python or require_trainer())
    named = dict(line.split("==", 1) for line in lines if "==" in line)
    kept = keep(store, "\n".join(lines) + "\n", ".freeze.txt")
    return {name: named[name] for name in ("axolotl", "torch", "transformers", "peft") if name in named} | {
        "freeze_sha256": kept
    }
