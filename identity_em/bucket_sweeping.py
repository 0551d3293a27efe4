"""What a bucket's store holds that no study wants any more: found first, removed only when told to."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from identity_em import places
from identity_em.buckets import Bucket
from identity_em.sweeping import KINDS, Litter


@dataclass(frozen=True)
class Objects(Litter):
    """Objects that go together.

    Attributes:
        bucket: Where they are.
        names: In the order in which they are removed: a manifest first, so that nothing half removed seems whole.
    """

    bucket: Bucket
    names: tuple[str, ...]


def find(root: Path, keep: set[str]) -> list[Objects]:
    """Everything in the bucket that none of the kept keys needs and nobody is working at.

    Args:
        root: The bucket's scratch.
        keep: Keys of artefacts that are wanted still, parents included.
    """
    bucket = Bucket(places.bucket(root) or "")
    sizes = bucket.sizes()
    busy = {name.removesuffix(".lock") for name in bucket.names("locks") if bucket.lock(f"locks/{name}").held()}
    found = _litter(bucket, sizes, keep | busy, busy)
    return [Objects(what, Path(names[0]), sum(sizes[n] for n in names), bucket, names) for what, names in found]


def remove(litter: list[Objects]) -> int:
    """Remove them; bytes that are free now."""
    for one in litter:
        for name in one.names:
            one.bucket.remove(name)
    return sum(one.bytes for one in litter)


def _litter(
    bucket: Bucket, sizes: dict[str, int], keep: set[str], busy: set[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for kind in KINDS:
        manifests = {n.split("/")[1].removesuffix(".json"): n for n in sizes if _is_manifest(n, kind)}
        files: dict[str, list[str]] = defaultdict(list)
        for name in sizes:
            if name.startswith(f"{kind}/") and name not in manifests.values():
                files[name.split("/")[1]].append(name)
        for key in sorted((manifests.keys() | files.keys()) - keep):
            manifest = (manifests[key],) if key in manifests else ()
            yield kind if manifest else "partial", (*manifest, *files[key])
        for key in sorted(files.keys() & keep - busy):
            left = tuple(_not_of(bucket, manifests.get(key), files[key]))
            if left:
                yield "partial", left
    for name in sizes:
        if name.startswith("damaged/"):
            yield "damaged", (name,)
        if name.startswith("logs/") and Path(name).stem not in keep:
            yield "log", (name,)


def _is_manifest(name: str, kind: str) -> bool:
    return name.startswith(f"{kind}/") and name.count("/") == 1 and name.endswith(".json")


def _not_of(bucket: Bucket, manifest: str | None, files: list[str]) -> Iterator[str]:
    """What was sent of an artefact but is not what its manifest speaks of."""
    text = bucket.read(manifest) if manifest else None
    digest = None if text is None else hashlib.sha256(text.encode()).hexdigest()[:16]
    return (name for name in files if name.split("/")[2] != digest)
