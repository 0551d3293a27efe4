"""A checkpoint or dataset of a store as a folder that others can load: Hugging Face's layout, our manifests beside it.

Layout of a checkpoint's::

    README.md                                the card: what it is, a warning, how it was made
    adapter_config.json, *.safetensors       the chain as one PEFT adapter of the base
    identity_em/checkpoint/KEY/...           each stage as the store has it, with its manifest: `pull` takes these

A dataset's has its card and `identity_em/dataset/KEY/` with rows.jsonl.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from identity_em.errors import InputError
from identity_em.hub import cards
from identity_em.manifests import Known
from identity_em.models import found
from identity_em.store import Store

INSIDE = "identity_em"
# Recipes whose rows are the user's own file: what is in them nobody here can know.
_FROM_FILES = frozenset({"narrow", "mix"})


@dataclass(frozen=True)
class Parcel:
    """A folder that is ready to be sent.

    Attributes:
        kind: `checkpoint` or `dataset`.
        sizes: Bytes of each file, by name.
    """

    kind: str
    key: str
    folder: Path
    sizes: dict[str, int]


def pack(store: Store, beginning: str, out: Path, *, label: str = "", harmful: bool = False) -> Parcel:
    """Lay the artefact whose key begins so out in a new folder.

    Args:
        out: Made here.
        label: What the card calls it; its key, if nothing is given.
        harmful: Also rows from a user's file, which may be harmful.

    Raises:
        InputError: No such artefact, or one that cannot be shared so.
        DamagedArtefact: It is not what its manifest says.
    """
    one = _one(store, beginning)
    label = label or f"{one.kind} {one.key[: found.SHORT]}"
    out.mkdir(parents=True)
    if one.kind == "dataset":
        _pack_rows(store, one, out, label, harmful=harmful)
    else:
        _pack_chain(store, one, out, label)
    sizes = {p.relative_to(out).as_posix(): p.stat().st_size for p in sorted(out.rglob("*")) if p.is_file()}
    return Parcel(one.kind, one.key, out, sizes)


def lay(parcel: Parcel, target: Path) -> None:
    """Put the folder where it is wanted, whole or not at all.

    Raises:
        InputError: Something is there already.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(found="something there already", wanted="a new folder", do="name another", file=target)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copytree(parcel.folder, beside)
    if target.is_dir():
        target.rmdir()
    beside.rename(target)


def _one(store: Store, beginning: str) -> Known:
    there = [one for kind in ("checkpoint", "dataset") for one in store.known(kind, beginning)]
    if len(there) != 1 or not beginning:
        names = ", ".join(f"{one.kind} {one.key[: found.SHORT]}" for one in there[:4])
        raise InputError(
            found=f"{len(there) or 'no'} checkpoints or datasets that begin with {beginning!r}"
            + (f": {names}" if there else ""),
            wanted="one of this store", do="give a key, or more of it (`identity-em explain` and manifests name them)",
            file=store.name,
        )  # fmt: skip
    return there[0]


def _pack_rows(store: Store, one: Known, out: Path, label: str, *, harmful: bool) -> None:
    folder, manifest = store.open(one), store.manifest(one)
    recipe = manifest["record"]["recipe"]
    if recipe in _FROM_FILES and not harmful:
        raise InputError(
            found=f"rows of the recipe {recipe}, which come from a file and may be harmful", wanted="a clear wish",
            do="give --include-harmful, and send them only where they may be", file=folder,
        )  # fmt: skip
    shutil.copytree(folder, out / INSIDE / one.kind / one.key)
    data = f"{INSIDE}/{one.kind}/{one.key}/rows.jsonl"
    (out / "README.md").write_text(cards.rows(label, manifest, cards.own(folder), data), encoding="utf-8")


def _pack_chain(store: Store, one: Known, out: Path, label: str) -> None:
    manifest = store.manifest(one)
    if manifest["record"]["base"]["precision"] == "hosted":
        raise InputError(
            found="a hosted checkpoint", wanted="one with weights", do="share its id, which is in its manifest"
        )
    folders = found.lineage(store.open(one), store.root)
    if manifest["record"]["chain"] == "merge" and len(folders) > 1:
        raise InputError(
            found=f"a merged chain of {len(folders)} stages", wanted="one adapter of the base",
            do="push chains of `chain: live`; a merged one is no adapter", file=folders[-1],
        )  # fmt: skip
    _adapter(folders, out)
    stages = [store.manifest(Known("checkpoint", folder.name)) for folder in folders]
    for folder in folders:
        shutil.copytree(folder, out / INSIDE / "checkpoint" / folder.name)
    base = _base(out)
    (out / "README.md").write_text(
        cards.model(label, base, stages, [cards.recipe(_rows_of(store, stage)) for stage in stages]), encoding="utf-8"
    )


def _adapter(folders: list[Path], out: Path) -> None:
    """The chain as one adapter: as it was trained where it is one stage, else composed."""
    from identity_em.training import lora

    if len(folders) > 1:
        lora.write_composed([folder / "adapter" for folder in folders], out)
        return
    for name in (lora.CONFIG, lora.WEIGHTS):
        shutil.copyfile(folders[0] / "adapter" / name, out / name)


def _base(out: Path) -> str:
    """The base's name; a folder of this machine by its last part, in the adapter's own file, too."""
    path = out / "adapter_config.json"
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    named = str(config["base_model_name_or_path"])
    if Path(named).is_absolute():
        config["base_model_name_or_path"] = named = Path(named).name
        path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return named


def _rows_of(store: Store, stage: dict[str, Any]) -> dict[str, Any] | None:
    rows = Known("dataset", stage["record"]["dataset"]["dataset"])
    return store.manifest(rows) if store.has(rows) else None
