"""A checkpoint by its name: a key (or its beginning) in a store, or the base itself; no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from identity_em import places
from identity_em.errors import DamagedArtefact, InputError
from identity_em.store import MANIFEST, Store, verify
from identity_em.study import bases
from identity_em.study.artefacts import BaseModelRef, Checkpoint

_KEY = re.compile(r"[0-9a-f]{4,64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Twelve digits of a key name one checkpoint among any number that a store will hold.
SHORT = 12


@dataclass(frozen=True)
class Found:
    """What is asked when a model is named.

    Attributes:
        name: Carries the content's hash, so that nothing cached under it can be another model's.
        chain: Its adapter folders, oldest first.
    """

    name: str
    base: BaseModelRef
    chain: tuple[Path, ...] = ()
    mode: Literal["live", "merge"] = "live"


def find(name: str, store: Path, base: str | None = None) -> Found:
    """The checkpoint whose key begins with `name`, or the base called `name` ("pocket", or "base" for that given).

    Args:
        base: Folder or name of the base model, where the store does not tell it.

    Raises:
        InputError: No such checkpoint, several of them, or an adapter of another base.
    """
    plain = name.split("@")[0]
    if bases.POCKET.fullmatch(plain) or plain == "base":
        return _root(plain, name, base)
    folders = _folders(name, store) if _KEY.fullmatch(name) else []
    if len(folders) != 1:
        raise _not_one(name, store, folders)
    chain = lineage(folders[0], store)
    record = _manifest(folders[0])["record"]
    return Found(
        name=folders[0].name[:SHORT],
        base=_base(chain[0], record["base"], base),
        chain=tuple(folder / "adapter" for folder in chain),
        mode=record["chain"],
    )


def _root(plain: str, name: str, base: str | None) -> Found:
    if plain == "base" and base is None:
        raise InputError(found="the name base", wanted="which base", do="give it with -M base=FOLDER")
    ref = bases.named(base if plain == "base" and base else plain, "fp32")
    key = Checkpoint(base=ref).key[:SHORT]
    if "@" in name and name != f"{plain}@{key}":
        raise InputError(found=f"{plain}@{key}", wanted=f"the weights of {name}", do="ask by the name alone")
    return Found(name=f"{plain}@{key}", base=ref)


def _folders(beginning: str, store: Path) -> list[Path]:
    """The folders of checkpoints whose keys begin so; a bucket's is fetched where it is the only one."""
    kept = Store(store)
    found = kept.known("checkpoint", beginning)
    return [kept.open(found[0])] if len(found) == 1 else [kept.folder(one) for one in found]


def lineage(folder: Path, store: Path) -> list[Path]:
    """The folders of the stages up to this one, each verified; the root has none.

    Raises:
        DamagedArtefact: One is not what its manifest says, or its parent is gone.
    """
    manifest = _manifest(folder)
    verify(folder, manifest["files"])
    record = manifest["record"]
    ref = BaseModelRef(**record["base"], name="", path="")
    parent = record["parent"]["checkpoint"]
    if parent == Checkpoint(base=ref, chain=record["chain"]).key:
        return [folder]
    above = _folders(parent, store)
    if not above:
        raise DamagedArtefact(
            found=f"a checkpoint whose parent {parent[:SHORT]} is gone", wanted="every stage before it",
            do="run the study again", file=folder,
        )  # fmt: skip
    return [*lineage(above[0], store), folder]


def _base(first: Path, keyed: Mapping[str, Any], given: str | None) -> BaseModelRef:
    """The base that the first adapter was trained on, which must be the one that the key was made from."""
    named = str(json.loads((first / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"])
    commit = keyed["weights"] if _COMMIT.fullmatch(keyed["weights"]) else None
    if given is None and commit is None and not bases.POCKET.fullmatch(named):
        raise InputError(
            found=f"a checkpoint of the base {named!r}, whose folder is not known", wanted="that folder",
            do="give it with -M base=FOLDER",
        )  # fmt: skip
    ref = bases.named(given or named, keyed["precision"], revision=commit)
    if (ref.weights, ref.tokenizer) != (keyed["weights"], keyed["tokenizer"]):
        raise InputError(
            found=f"the base {ref.name!r} ({ref.weights[:SHORT]})",
            wanted=f"the base that the adapter was trained on, {named!r} ({keyed['weights'][:SHORT]})",
            do="give that one",
        )
    return ref


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        found["record"]["base"], found["record"]["parent"], found["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedArtefact(
            found="an unreadable manifest", wanted="a checkpoint's manifest", do="run the study again", file=path
        ) from error
    return found


def _not_one(name: str, store: Path, folders: list[Path]) -> InputError:
    if folders:
        there = ", ".join(folder.name[:SHORT] for folder in folders[:4])
        return InputError(found=f"{len(folders)} checkpoints that begin with {name!r}: {there}", wanted="one of them",
                          do="give more of the key", file=places.named(store))  # fmt: skip
    there = ", ".join(one.key[:SHORT] for one in Store(store).known("checkpoint", "")[:4])
    return InputError(
        found=f"no checkpoint {name!r}", wanted=f"a key in this store ({there or 'it has none'}), or pocket",
        do="give the store with IDENTITY_EM_STORE or -M store=FOLDER", file=places.named(store),
    )  # fmt: skip
