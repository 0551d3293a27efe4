"""What was pushed comes back into a store under its keys, every byte checked before anything is written."""

import hashlib
import json
import re
from pathlib import Path, PurePosixPath

from identity_em.errors import InputError
from identity_em.hub.push import INSIDE
from identity_em.manifests import MANIFEST, Known, damaged, parsed, verify
from identity_em.store import Store

_KINDS = ("checkpoint", "dataset")
_KEY = re.compile(r"[0-9a-f]{64}")
# Nothing that could be run when it is loaded.
_ENDINGS = frozenset({".safetensors", ".json", ".jsonl", ".md", ".txt"})


def pull(folder: Path, store: Store) -> dict[Known, bool]:
    """Take every artefact of a pushed folder into the store; whether it is new there.

    Raises:
        InputError: No such folder, nothing in it, or a file that may not be.
        DamagedArtefact: One is not what its manifest says, or not what its key says.
    """
    there = [found for kind in _KINDS for found in sorted((folder / INSIDE / kind).glob("*"))]
    if not there:
        raise InputError(
            found=f"no {INSIDE}/checkpoint or {INSIDE}/dataset", wanted="what `identity-em push` wrote",
            do="name such a folder or repository", file=folder,
        )  # fmt: skip
    artefacts = {_checked(path): path for path in there}
    store.check_writable()
    return {one: store.adopt(one, path) for one, path in artefacts.items()}


def _checked(folder: Path) -> Known:
    """The artefact in a folder, which is what its manifest, and its key, say."""
    path = folder / MANIFEST
    try:
        if not _KEY.fullmatch(folder.name):
            raise ValueError("no key")
        manifest = parsed(path.read_text(encoding="utf-8"), folder.name)
        record = json.dumps(manifest["record"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if hashlib.sha256(record.encode()).hexdigest() != folder.name or manifest["kind"] != folder.parent.name:
            raise ValueError("another record than its key's")
        files = manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, f"an unreadable manifest ({error})", "push it again from the store that made it") from error
    for name in files:
        if PurePosixPath(name).suffix not in _ENDINGS:
            raise InputError(
                found="a file that could be run", wanted="weights, JSON and texts only", do="do not use this folder",
                file=folder / name,
            )  # fmt: skip
    verify(folder, files, "push it again from the store that made it")
    return Known(manifest["kind"], folder.name)
