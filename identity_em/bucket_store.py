"""A store in a bucket, with a folder of this machine before it: whole or absent in the bucket, too.

Layout, beside the shared records of `places.py`::

    BUCKET/PREFIX/
      VERSION                    the store's format
      KIND/KEY.json              an artefact's manifest; put last, and only where there is none: what has one is whole
      KIND/KEY/DIGEST/...        its files, under the first digits of the manifest's own SHA-256, so that two makers
                                 who each took the other for dead never mix their files
      damaged/KEY-ID.json        manifests of artefacts that `run` set aside
      locks/KEY.lock/TOKEN       claims (claims.py)
      logs/KEY.log               what the making printed
      provenance/DIGEST.txt      long texts that manifests name

An artefact is made in the scratch folder as in any store and sent from there. A maker that dies while it sends has left
it whole in its scratch, from where its next run sends it. What the bucket holds is what is read: a copy in the scratch
serves while its manifest is the bucket's and its bytes are as the manifest says, else it is fetched anew.
"""

import hashlib
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from identity_em import places, store_state
from identity_em.buckets import Bucket
from identity_em.claims import Claim
from identity_em.errors import DamagedArtefact, InputError, StoreFailed
from identity_em.manifests import MANIFEST, Known, damaged, parsed, verify
from identity_em.store import Store
from identity_em.study.artefacts import Artefact, sha256_of

# For so long a list of what the bucket holds is taken for new, except of what this process itself sets out to make.
_FRESH_SECONDS = 2.0


class BucketStore(Store):
    """The artefacts made so far, in a bucket.

    Args:
        root: The bucket's scratch on this machine.

    Raises:
        InputError: A store of a format that this version does not read.
        StoreFailed: The bucket cannot be reached.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.bucket = Bucket(places.bucket(root) or "")
        self._manifests: dict[str, str] = {}
        self._listed: dict[str, tuple[float, set[str]]] = {}
        self._ours: set[str] = set()
        self._there = self._is_there()

    def has(self, artefact: Artefact | Known, *, anew: bool = False) -> bool:
        """Whether the bucket has the artefact."""
        if artefact.key in self._manifests:
            return True
        if anew or artefact.key in self._ours:
            return self.bucket.exists(_manifest(artefact))
        now = time.monotonic()
        at, keys = self._listed.get(artefact.kind, (-_FRESH_SECONDS, set()))
        if artefact.key not in keys and now - at >= _FRESH_SECONDS:
            keys = {name.removesuffix(".json") for name in self.bucket.names(artefact.kind) if name.endswith(".json")}
            self._listed[artefact.kind] = (now, keys)
        return artefact.key in keys

    def known(self, kind: str, beginning: str) -> list[Known]:
        """The artefacts of a kind whose keys begin so."""
        names = (name for name in self.bucket.names(kind) if name.startswith(beginning) and name.endswith(".json"))
        return [Known(kind, name.removesuffix(".json")) for name in names]

    def holds(self, artefact: Artefact | Known) -> bool:
        """As `has`: there is nothing in between."""
        return self.has(artefact)

    def manifest(self, artefact: Artefact | Known) -> dict[str, Any]:
        """The artefact's manifest, as the bucket has it.

        Raises:
            DamagedArtefact: It cannot be read or speaks of another artefact.
        """
        try:
            return parsed(self._text(artefact), artefact.key)
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(self.bucket.where(_manifest(artefact)), f"an unreadable manifest ({error})") from error

    def open(self, artefact: Artefact | Known) -> Path:
        """The scratch folder of a made artefact, every byte checked against the bucket's manifest once a process.

        Raises:
            DamagedArtefact: A file is missing from the bucket, or changed there.
        """
        folder = self.folder(artefact)
        if artefact.key not in self._verified:
            files = self.manifest(artefact)["files"]
            if not self._is_copy(artefact, folder):
                self._fetch(artefact, files)
            self._verified.add(artefact.key)
        return folder

    def lock(self, artefact: Artefact) -> Claim:
        """The lock under which the artefact is made; from now on `has` asks anew whether somebody made it."""
        self._ours.add(artefact.key)
        return self.bucket.lock(f"locks/{artefact.key}.lock")

    def locked(self) -> set[str]:
        """Keys of artefacts that somebody claims."""
        return {name.removesuffix(".lock") for name in self.bucket.names("locks")}

    def write(self, artefact: Artefact, fill: Callable[[Path], Mapping[str, Any]]) -> Path:
        """Make the artefact in the scratch, if a maker that died has not left it there, and send it.

        Raises:
            StoreFailed: The bucket or the scratch refused.
        """
        folder = self.folder(artefact)
        if not self._is_whole(artefact, folder):
            _forget(folder)
            super().write(artefact, fill)
        self._send(artefact, folder)
        return folder

    def adopt(self, artefact: Known, folder: Path) -> bool:
        """Take a copy of an artefact's whole folder, made elsewhere, and send it; False where it is there already."""
        if self.has(artefact):
            return False
        _forget(self.folder(artefact))
        super().adopt(artefact, folder)
        self._send(artefact, self.folder(artefact))
        return True

    def set_aside(self, artefact: Artefact | Known) -> Path:
        """Move a damaged artefact's manifest out of the way, in the bucket, and its copy in the scratch."""
        text = self.bucket.read(_manifest(artefact))
        if text is not None:
            self.bucket.write(f"damaged/{artefact.key}-{uuid.uuid4().hex[:8]}.json", text)
            self.bucket.remove(_manifest(artefact))
        self._manifests.pop(artefact.key, None)
        self._listed.clear()
        return super().set_aside(artefact)

    def check_writable(self) -> None:
        """Raises InputError where the bucket or the scratch cannot be written."""
        super().check_writable()
        probe = f".writable-{uuid.uuid4().hex[:8]}"
        try:
            self.bucket.write(probe, "")
            self.bucket.remove(probe)
            if not self._there:
                self.bucket.add(store_state.VERSION, f"{store_state.FORMAT}\n")
        except StoreFailed as error:
            raise InputError(
                found=f"a bucket that cannot be written ({error})", wanted="one that can", do="see to its credentials"
            ) from error
        self._there = True

    def sweep(self) -> None:
        """Remove what makers that are gone have left, here and in the bucket."""
        super().sweep()
        for folder in ("locks", "runs"):
            for name in self.bucket.names(folder):
                if name.endswith(".lock") and self.bucket.lock(f"{folder}/{name}").clear():
                    self.bucket.remove(f"{folder}/{name.removesuffix('.lock')}.cancel")

    def _is_there(self) -> bool:
        text = self.bucket.read(store_state.VERSION)
        if text is not None:
            store_state.check_format(text, self.bucket.where(store_state.VERSION))
        return text is not None

    def _text(self, artefact: Artefact | Known) -> str:
        if artefact.key not in self._manifests:
            text = self.bucket.read(_manifest(artefact))
            if text is None:
                raise damaged(self.bucket.where(_manifest(artefact)), "no manifest")
            self._manifests[artefact.key] = text
        return self._manifests[artefact.key]

    def _is_copy(self, artefact: Artefact | Known, folder: Path) -> bool:
        """Whether the scratch holds just what the bucket does."""
        try:
            same = (folder / MANIFEST).read_text(encoding="utf-8") == self._text(artefact)
        except (OSError, ValueError):
            return False
        return same and self._is_whole(artefact, folder)

    def _is_whole(self, artefact: Artefact | Known, folder: Path) -> bool:
        try:
            verify(folder, super().manifest(artefact)["files"])
        except DamagedArtefact:
            return False
        return True

    def _fetch(self, artefact: Artefact | Known, files: Mapping[str, Mapping[str, Any]]) -> None:
        partial, final = self.working(artefact, uuid.uuid4().hex[:8]), self.folder(artefact)
        partial.mkdir(parents=True)
        try:
            for name, facts in files.items():
                at = f"{self._files(artefact, self._text(artefact))}/{name}"
                if not self.bucket.fetch(at, partial / name):
                    raise damaged(self.bucket.where(at), "a missing file")
                if sha256_of(partial / name) != facts["sha256"]:
                    raise damaged(self.bucket.where(at), "changed bytes")
            (partial / MANIFEST).write_text(self._text(artefact), encoding="utf-8")
            final.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / "partial" / ".fetched"):  # another process may just have put it there
                if not self._is_copy(artefact, final):
                    _forget(final)
                    partial.rename(final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _send(self, artefact: Artefact | Known, folder: Path) -> None:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
        at = self._files(artefact, text)
        for name in parsed(text, artefact.key)["files"]:
            self.bucket.send(folder / name, f"{at}/{name}")
        for beside in (self.log(artefact), *sorted((self.root / "provenance").glob("*.txt"))):
            if beside.is_file():
                self.bucket.send(beside, beside.relative_to(self.root).as_posix())
        self.bucket.add(_manifest(artefact), text)  # where another finished first, its artefact stays

    def _files(self, artefact: Artefact | Known, manifest: str) -> str:
        return f"{artefact.kind}/{artefact.key}/{hashlib.sha256(manifest.encode()).hexdigest()[:16]}"


def _manifest(artefact: Artefact | Known) -> str:
    return f"{artefact.kind}/{artefact.key}.json"


def _forget(folder: Path) -> None:
    """Remove a copy: renamed first, so that one that is half removed is never taken for one."""
    going = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    with suppress(FileNotFoundError):
        folder.rename(going)
        shutil.rmtree(going)
