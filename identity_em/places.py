"""A store is a folder, or a bucket with a folder of this machine before it: which it is, and its small shared records.

A bucket's store has a folder on each machine that works with it, its scratch: working files lie there, and copies of
what the bucket holds. The scratch's `BUCKET` file names the bucket, so a store is a folder wherever one is handed on;
another machine is told `named(folder)`. What all machines must see (who makes what, what a study wants) lies in a
`Place`: the folder itself, or the bucket.
"""

import hashlib
import os
import re
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from identity_em.errors import InputError
from identity_em.locks import Lock

if TYPE_CHECKING:
    from identity_em.claims import Claim

BUCKET = "BUCKET"
SCRATCH = "IDENTITY_EM_SCRATCH"
_URL = re.compile(r"[a-z][a-z0-9+.-]*://")


class Place(Protocol):
    """Small texts by name (`folder/name`), each whole or absent."""

    @property
    def pause(self) -> float:
        """Seconds to let pass before the same is asked again by who asks all the time."""

    def read(self, name: str) -> str | None:
        """A text; None where there is none."""

    def write(self, name: str, text: str) -> None:
        """Put a text, in place of what was there."""

    def exists(self, name: str) -> bool:
        """Whether there is one."""

    def remove(self, name: str) -> None:
        """Remove one, if it is there."""

    def names(self, folder: str) -> list[str]:
        """What lies directly in a folder, sorted, without the folder's own name."""

    def lock(self, name: str) -> "Lock | Claim":
        """A lock that everybody who sees the place respects."""

    def where(self, name: str) -> str:
        """Path or URL, for people."""


class Folder:
    """A folder as a `Place`."""

    pause = 0.0

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> str | None:
        """As `Place`."""
        try:
            return (self._root / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write(self, name: str, text: str) -> None:
        """As `Place`."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)

    def exists(self, name: str) -> bool:
        """As `Place`."""
        return (self._root / name).exists()

    def remove(self, name: str) -> None:
        """As `Place`."""
        (self._root / name).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        """As `Place`."""
        return sorted(path.name for path in (self._root / folder).glob("[!.]*"))

    def lock(self, name: str) -> Lock:
        """As `Place`."""
        return Lock(self._root / name)

    def where(self, name: str) -> str:
        """As `Place`."""
        return str(self._root / name)


def folder(store: str | Path) -> Path:
    """The folder of a store that is given as a path or as a URL; a bucket's scratch is made, if it is not there.

    Raises:
        InputError: A URL without a bucket, or something that is there and no folder.
    """
    text = str(store)
    if isinstance(store, Path) or not _URL.match(text):
        return _no_file(Path(store), "another store")
    url = urlsplit(text)
    if url.scheme == "file":
        return _no_file(Path(url.path), "another store")
    if not url.netloc:
        raise InputError(found=f"the store {text}", wanted="s3://BUCKET/PREFIX, or gs://", do="name a bucket")
    text = text.rstrip("/")
    root = _scratch() / f"{re.sub('[^a-z0-9]+', '-', url.netloc)}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if bucket(root) != text:
        Folder(root).write(BUCKET, f"{text}\n")
    return root


def output(root: Path) -> Path:
    """A folder that a command is to write into: there, or to be made; nothing is left behind by looking.

    Raises:
        InputError: It is no folder, or nothing can be written there.
    """
    parent = _no_file(root, "another folder").absolute()
    while not parent.exists():
        parent = parent.parent
    try:
        with tempfile.TemporaryFile(dir=parent):
            return root
    except OSError as error:
        raise InputError(
            file=root, found=f"{parent}, where nothing can be written ({error.strerror})",
            wanted="a folder to write to", do="name another folder",
        ) from error  # fmt: skip


def _no_file(root: Path, other: str) -> Path:
    if root.exists() and not root.is_dir():
        raise InputError(file=root, found="something that is no folder", wanted="a folder", do=f"name {other}")
    return root


def bucket(root: Path) -> str | None:
    """The URL of the bucket behind a store's folder; None where the folder is the store."""
    text = Folder(root).read(BUCKET) if root.is_dir() else None
    return text and text.strip()


def named(root: Path) -> str:
    """What another machine is told, and people: the bucket's URL, or the folder's absolute path."""
    return bucket(root) or str(root.resolve())


def at(root: Path) -> Place:
    """Where the shared records of a store lie."""
    url = bucket(root)
    if url is None:
        return Folder(root)
    from identity_em.buckets import Bucket

    return Bucket(url)


def _scratch() -> Path:
    """Where scratch folders lie: by variable, else in the user's cache home (XDG)."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(SCRATCH) or Path(home) / "identity-em" / "stores").expanduser()
