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

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from identity_em import store_state
from identity_em.errors import DamagedArtefact, InputError
from identity_em.locks import Lock, gone, maker
from identity_em.study.artefacts import Artefact, sha256_of

MANIFEST = "manifest.json"
_SEAL = "seal"
_FIELDS = frozenset({"key", "kind", "record", "files", "facts", "made", "provenance"})


class Store:
    """The artefacts made so far.

    Args:
        root: Folder of the store; made on the first write, never by reading.

    Raises:
        InputError: A store of a format that this version does not read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[str] = set()
        self._marked = store_state.check(root)

    def folder(self, artefact: Artefact) -> Path:
        """Where the artefact lies, made or not."""
        return self.root / artefact.kind / artefact.key[:2] / artefact.key

    def log(self, artefact: Artefact) -> Path:
        """Where the making of the artefact is logged."""
        self._require()
        path = self.root / "logs" / f"{artefact.key}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def has(self, artefact: Artefact) -> bool:
        """Whether the artefact is there (its manifest is; `open` verifies the rest)."""
        return (self.folder(artefact) / MANIFEST).is_file()

    def manifest(self, artefact: Artefact) -> dict[str, Any]:
        """The artefact's manifest.

        Raises:
            DamagedArtefact: It cannot be read or speaks of another artefact.
        """
        path = self.folder(artefact) / MANIFEST
        try:
            text = path.read_text(encoding="utf-8")
            manifest: dict[str, Any] = json.loads(text)
            if manifest["key"] != artefact.key:
                raise ValueError("another key")
            if not _is_sealed(manifest, text):
                raise ValueError("changed bytes")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path, f"an unreadable manifest ({error})") from error
        return manifest

    def open(self, artefact: Artefact) -> Path:
        """The folder of a made artefact, every byte checked against its manifest once a process.

        Raises:
            DamagedArtefact: A file is missing, added or changed.
        """
        folder = self.folder(artefact)
        if artefact.key not in self._verified:
            verify(folder, self.manifest(artefact)["files"])
            self._verified.add(artefact.key)
        return folder

    def lock(self, artefact: Artefact) -> Lock:
        """The lock under which the artefact is made."""
        self._require()
        return Lock(self.root / "locks" / f"{artefact.key}.lock")

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
        final = self.folder(artefact)
        partial = self.working(artefact, uuid.uuid4().hex[:8])
        partial.mkdir(parents=True)
        try:
            facts = fill(partial)
            _write_manifest(partial, artefact, facts)
            final.parent.mkdir(parents=True, exist_ok=True)
            try:
                partial.rename(final)
            except OSError:
                if not self.has(artefact):
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return final

    def working(self, artefact: Artefact, what: str) -> Path:
        """A place for this process to work on the artefact; swept when the process is gone."""
        return self.root / "partial" / f"{artefact.key[:16]}-{maker()}-{what}"

    def resuming(self, artefact: Artefact) -> Path:
        """Where the artefact's maker keeps what a next one goes on from, until the artefact is there."""
        return self.root / "resume" / artefact.key

    def set_aside(self, artefact: Artefact) -> Path:
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


def verify(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Compare a folder with the files that its manifest lists.

    Raises:
        DamagedArtefact: The first difference.
    """
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST}
    for name in sorted(there ^ set(files)):
        raise _damaged(folder / name, "a file too many" if name in there else "a missing file")
    for name, facts in files.items():
        if sha256_of(folder / name) != facts["sha256"]:
            raise _damaged(folder / name, "changed bytes")


def _write_manifest(folder: Path, artefact: Artefact, facts: Mapping[str, Any]) -> None:
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


def _damaged(path: Path, found: str) -> DamagedArtefact:
    return DamagedArtefact(
        file=path, found=found, wanted="what the manifest recorded",
        do="run the study again: `identity-em run` sets it aside and makes it anew",
    )  # fmt: skip
