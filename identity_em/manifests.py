"""What an artefact's folder says of itself: its files with their sums, its facts, and a seal over both."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from identity_em.errors import DamagedArtefact
from identity_em.study.artefacts import Artefact, sha256_of

MANIFEST = "manifest.json"
_SEAL = "seal"
_FIELDS = frozenset({"key", "kind", "record", "files", "facts", "made", "provenance"})
_REMAKE = "run the study again: `identity-em run` sets it aside and makes it anew"


@dataclass(frozen=True)
class Known:
    """An artefact of a store by its key alone."""

    kind: str
    key: str


def verify(folder: Path, files: Mapping[str, Mapping[str, Any]], do: str = _REMAKE) -> None:
    """Compare a folder with the files that its manifest lists.

    Raises:
        DamagedArtefact: The first difference.
    """
    try:
        there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST}
        for name in sorted(there ^ set(files)):
            raise damaged(folder / name, "a file too many" if name in there else "a missing file", do)
        for name, facts in files.items():
            if sha256_of(folder / name) != facts["sha256"]:
                raise damaged(folder / name, "changed bytes", do)
    except FileNotFoundError as error:  # another runner sets the folder aside
        raise damaged(error.filename, "a missing file", do) from error


def write(folder: Path, artefact: Artefact, facts: Mapping[str, Any]) -> None:
    """Write the manifest of a folder whose files are all there."""
    files = {
        p.relative_to(folder).as_posix(): {"sha256": sha256_of(p), "bytes": p.stat().st_size}
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
    manifest = {
        "key": artefact.key,
        "kind": artefact.kind,
        "record": json.loads(artefact.canonical),
        "files": files,
        **facts,
    }
    sealed = {**manifest, _SEAL: _seal(manifest)}
    (folder / MANIFEST).write_text(_text(sealed), encoding="utf-8")


def _text(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _seal(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its seal: a changed byte of the manifest itself is found, too."""
    return hashlib.sha256(_text({n: v for n, v in manifest.items() if n != _SEAL}).encode()).hexdigest()


def _is_sealed(manifest: Mapping[str, Any], text: str) -> bool:
    """Whether a manifest is as it was written. Those from before there were seals have none, and nothing unknown."""
    if _SEAL not in manifest:
        return set(manifest) <= _FIELDS
    return manifest[_SEAL] == _seal(manifest) and text == _text(manifest)


def parsed(text: str, key: str) -> dict[str, Any]:
    """A manifest from its text.

    Raises:
        ValueError: It is none, or speaks of another artefact.
    """
    manifest: dict[str, Any] = json.loads(text)
    if manifest["key"] != key:
        raise ValueError("another key")
    if not _is_sealed(manifest, text):
        raise ValueError("changed bytes")
    return manifest


def damaged(path: Path | str, found: str, do: str = _REMAKE) -> DamagedArtefact:
    """The error for a file of the store that is not as its manifest says."""
    return DamagedArtefact(
        file=path, found=found, wanted="what the manifest recorded",
        do=do,
    )  # fmt: skip
