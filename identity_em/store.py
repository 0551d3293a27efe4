"""One folder per content key: written beside, checksummed, renamed; whole or absent; verified on read.

Layout::

    STORE/
      VERSION            the store's format, and the sign that it is there (store_state.py)
      checkpoint|dataset|responses|scores / KEY[:2] / KEY / manifest.json + the artefact's files
      locks/KEY.lock     one maker at a time: owner and heartbeat
      logs/KEY.log       what the making printed (outside the checksummed folder)
      resume/KEY/        checkpoints within a training that is not finished
      partial/           folders being written; swept when their maker is gone
      damaged/           folders that `run` set aside because they did not match their manifest
"""

import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from identity_em import manifests, places, store_state
from identity_em.errors import InputError
from identity_em.locks import Lock, gone, maker
from identity_em.manifests import MANIFEST, Known, damaged, parsed, verify
from identity_em.study.artefacts import Artefact

if TYPE_CHECKING:
    from identity_em.claims import Claim

__all__ = ["MANIFEST", "Store", "verify"]


class Store:
    """The artefacts made so far.

    Args:
        root: Folder of the store; made on the first write, never by reading.

    Raises:
        InputError: A store of a format that this version does not read.
    """

    def __new__(cls, root: Path) -> "Store":
        """A bucket's store where the folder is a bucket's scratch, as `Path()` makes the path of its system."""
        if cls is Store and places.bucket(root) is not None:
            from identity_em.bucket_store import BucketStore

            return super().__new__(BucketStore)
        return super().__new__(cls)

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[str] = set()
        self._marked = store_state.check(root)

    @property
    def name(self) -> str:
        """Path or URL, for people."""
        return places.named(self.root)

    def folder(self, artefact: Artefact | Known) -> Path:
        """Where the artefact lies, made or not."""
        return self.root / artefact.kind / artefact.key[:2] / artefact.key

    def log(self, artefact: Artefact | Known) -> Path:
        """Where the making of the artefact is logged."""
        self._require()
        path = self.root / "logs" / f"{artefact.key}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def has(self, artefact: Artefact | Known, *, anew: bool = False) -> bool:
        """Whether the artefact is there (its manifest is; `open` verifies the rest).

        Args:
            anew: Ask a network file system, not what this machine remembers of it.
        """
        return self._seen(artefact, anew=anew).is_file()

    def known(self, kind: str, beginning: str) -> list[Known]:
        """The artefacts of a kind whose keys begin so."""
        if not re.fullmatch("[0-9a-f]*", beginning):
            return []
        found = (self.root / kind).glob(f"{beginning[:2]}*/{beginning}*/{MANIFEST}")
        return [Known(kind, key) for key in sorted(path.parent.name for path in found)]

    def holds(self, artefact: Artefact | Known) -> bool:
        """Whether the artefact is there, or what is left of it."""
        return self.folder(artefact).exists()

    def manifest(self, artefact: Artefact | Known) -> dict[str, Any]:
        """The artefact's manifest.

        Raises:
            DamagedArtefact: It cannot be read or speaks of another artefact.
        """
        path = self.folder(artefact) / MANIFEST
        try:
            return parsed(self._seen(artefact, anew=True).read_text(encoding="utf-8"), artefact.key)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged(path, f"an unreadable manifest ({error})") from error

    def open(self, artefact: Artefact | Known) -> Path:
        """The folder of a made artefact, every byte checked against its manifest once a process.

        Raises:
            DamagedArtefact: A file is missing, added or changed.
        """
        folder = self.folder(artefact)
        if artefact.key not in self._verified:
            verify(folder, self.manifest(artefact)["files"])
            self._verified.add(artefact.key)
        return folder

    def lock(self, artefact: Artefact) -> "Lock | Claim":
        """The lock under which the artefact is made."""
        self._require()
        return Lock(self.root / "locks" / f"{artefact.key}.lock")

    def locked(self) -> set[str]:
        """Keys of artefacts that have a lock, whether its owner lives or not."""
        return {path.stem for path in (self.root / "locks").glob("*.lock")}

    def write(self, artefact: Artefact, fill: Callable[[Path], Mapping[str, Any]]) -> Path:
        """Make the artefact's folder: whole or absent.

        Args:
            artefact: What is made.
            fill: Writes the files into the empty folder it is given and returns facts for the manifest.

        Returns:
            The finished folder. Where another maker finished first, its folder is kept.

        Raises:
            StoreFailed: The store is gone or full.
        """
        self._require(room=True)
        partial = self.working(artefact, uuid.uuid4().hex[:8])
        partial.mkdir(parents=True)
        try:
            facts = fill(partial)
            manifests.write(partial, artefact, facts)
            self._put(artefact, partial)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return self.folder(artefact)

    def adopt(self, artefact: Known, folder: Path) -> bool:
        """Take a copy of an artefact's whole folder, made elsewhere; False where it is there already.

        Raises:
            DamagedArtefact: The copy is not what its manifest says.
        """
        if self.has(artefact):
            return False
        partial = self.working(artefact, uuid.uuid4().hex[:8])
        try:
            shutil.copytree(folder, partial)
            verify(partial, parsed((partial / MANIFEST).read_text(encoding="utf-8"), artefact.key)["files"])
            return self._put(artefact, partial)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def working(self, artefact: Artefact | Known, what: str) -> Path:
        """A place for this process to work on the artefact; swept when the process is gone."""
        return self.root / "partial" / f"{artefact.key[:16]}-{maker()}-{what}"

    def resuming(self, artefact: Artefact) -> Path:
        """Where the artefact's maker keeps what a next one goes on from, until the artefact is there."""
        return self.root / "resume" / artefact.key

    def set_aside(self, artefact: Artefact | Known) -> Path:
        """Move a damaged folder out of the way, so that it can be remade; nothing is deleted."""
        aside = self.root / "damaged" / f"{artefact.key}-{uuid.uuid4().hex[:8]}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another runner was quicker
            self.folder(artefact).rename(aside)
        self._verified.discard(artefact.key)
        return aside

    def check_writable(self) -> None:
        """Raises InputError where the store cannot be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not self._marked:
                store_state.mark(self.root)
                self._marked = True
            probe = self.root / f".writable-{uuid.uuid4().hex[:8]}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InputError(
                file=self.root, found=f"a store that cannot be written ({error.strerror})",
                wanted="a writable folder", do="give another folder with --store or IDENTITY_EM_STORE",
            ) from error  # fmt: skip

    def _put(self, artefact: Artefact | Known, folder: Path) -> bool:
        """Move a whole folder to where the artefact lies; False where another's is there, which is kept."""
        final = self.folder(artefact)
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(final)
        except OSError:
            if self.has(artefact, anew=True):
                return False
            if not self.holds(artefact):
                raise
            self.set_aside(artefact)  # what is left of one without its manifest
            folder.rename(final)
        return True

    def _seen(self, artefact: Artefact | Known, *, anew: bool) -> Path:
        """The artefact's manifest; where it seems to be missing from a store that is there, looked for again."""
        path = self.folder(artefact) / MANIFEST
        if anew and not path.is_file() and (self.root / store_state.VERSION).is_file():
            store_state.look_again(self.root, self.root / artefact.kind, path.parent.parent)
        return path

    def _require(self, *, room: bool = False) -> None:
        """A store that was there when it was opened is there still."""
        if self._marked:
            store_state.require(self.root, room=room)

    def sweep(self) -> None:
        """Remove what makers that are gone have left: partial folders of this host, and locks."""
        for folder in (self.root / "partial").glob("*-*-*"):
            if gone(folder.name.split("-")[1]):
                shutil.rmtree(folder, ignore_errors=True)
        for path in (*self.root.glob("locks/*.lock"), *self.root.glob("runs/*.lock")):
            if Lock(path).clear():
                path.with_suffix(".cancel").unlink(missing_ok=True)
