"""What a store holds that no study wants any more: found first, removed only when told to."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from identity_em.locks import Lock, gone

KINDS = ("checkpoint", "dataset", "responses", "scores")
# What another host was writing and has not touched for so long, nobody writes any more.
_ABANDONED_SECONDS = 86_400.0


@dataclass(frozen=True)
class Litter:
    """One thing to remove.

    Attributes:
        what: `checkpoint`, `dataset`, `responses`, `scores`, `served`, `resume`, `partial`, `damaged` or `log`.
        path: A folder or a file.
        bytes: What it takes.
    """

    what: str
    path: Path
    bytes: int


def find(root: Path, keep: set[str]) -> list[Litter]:
    """Everything in the store that none of the kept keys needs and nobody is working at.

    Args:
        root: The store's folder.
        keep: Keys of artefacts that are wanted still, parents included.
    """
    return [Litter(what, path, _bytes(path)) for what, path in _litter(root, keep)]


def remove(litter: list[Litter]) -> int:
    """Remove them; bytes that are free now.

    A folder is renamed first, so that one that is only half removed is never taken for an artefact. Where
    one lies on another disk, only the link to it goes.
    """
    for one in litter:
        if one.path.is_dir() and not one.path.is_symlink():
            going = one.path.with_name(f".{one.path.name}.going")
            one.path.rename(going)
            shutil.rmtree(going)
        else:
            one.path.unlink(missing_ok=True)
    return sum(one.bytes for one in litter)


def _litter(root: Path, keep: set[str]) -> Iterator[tuple[str, Path]]:
    for kind in KINDS:
        for folder in sorted(root.glob(f"{kind}/*/*")):
            if folder.name not in keep and not Lock(root / "locks" / f"{folder.name}.lock").held():
                yield kind, folder
    for folder in sorted(root.glob("served/*")):
        if folder.name not in keep:
            yield "served", folder
    for folder in sorted(root.glob("resume/*")):
        made = any(root.glob(f"*/{folder.name[:2]}/{folder.name}"))
        if (made or folder.name not in keep) and not Lock(root / "locks" / f"{folder.name}.lock").held():
            yield "resume", folder
    for path in sorted(root.glob("partial/*")):
        if _abandoned(path, keep):
            yield "partial", path
    for path in sorted(root.glob("damaged/*")):
        yield "damaged", path
    for path in sorted(root.glob("logs/*.log")):
        if path.stem not in keep:
            yield "log", path


def _abandoned(path: Path, keep: set[str]) -> bool:
    """Working folders of makers that are gone, and answers kept for what nobody wants."""
    if path.suffix == ".jsonl":
        return path.stem not in keep
    parts, now = path.name.split("-"), time.time()
    quiet = now - max((found.st_mtime for found in _stats(path)), default=now) > _ABANDONED_SECONDS
    return quiet or (len(parts) > 1 and gone(parts[1]))


def _bytes(path: Path) -> int:
    return sum(found.st_size for found in _stats(path) if S_ISREG(found.st_mode))


def _stats(path: Path) -> Iterator[os.stat_result]:
    """Of a file, or of a folder and all in it, but for what is removed meanwhile; links are not followed."""
    inside = () if path.is_symlink() else os.walk(path)
    for one in (path, *(Path(folder, name) for folder, dirs, files in inside for name in (*dirs, *files))):
        with suppress(FileNotFoundError):
            yield one.lstat()
