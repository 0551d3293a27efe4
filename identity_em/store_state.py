"""Whether a store can be used: its format, that it is still there, that it has room; and what an OSError there means.

A store's format is one number in its `VERSION` file. A store without the file is from before there was one; its
layout is format 1, so it is read as it is and the file is added by the next run. The file also tells a store that is
there from the empty folder that a lost mount leaves behind: nothing is written where it has gone.
"""

import errno
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from identity_em.errors import InputError, StoreFailed

VERSION = "VERSION"
FORMAT = 1
# Below this nothing is begun: a manifest, a log's end and a lock must still fit.
ROOM_BYTES = 2_000_000

_MEANS = {
    errno.ENOSPC: "no space left",
    errno.EDQUOT: "its quota is used up",
    errno.EROFS: "it is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "an input/output error",
    errno.ESTALE: "its mount is stale",
    errno.ENOTCONN: "its mount is gone",
    errno.ENODEV: "its device is gone",
}


def check(root: Path) -> bool:
    """Whether the store is there and marked; False where it is not, or not yet.

    Raises:
        InputError: Its format is not one that this version reads.
    """
    try:
        text = (root / VERSION).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise failed(root, error) from error
    check_format(text, root / VERSION)
    return True


def check_format(text: str, file: Path | str) -> None:
    """Raises InputError where a store's `VERSION` is not one that this version reads."""
    if text.strip() != str(FORMAT):
        raise InputError(
            file=file, found=f"a store of format {text.strip()[:20] or 'unknown'!r}",
            wanted=f"format {FORMAT}", do="use the version of identity-em that made it, or another --store",
        )  # fmt: skip


def mark(root: Path) -> None:
    """Make the folder a store of the present format."""
    root.mkdir(parents=True, exist_ok=True)
    beside = root / f".{VERSION}.{uuid.uuid4().hex[:8]}"
    beside.write_text(f"{FORMAT}\n", encoding="utf-8")
    beside.replace(root / VERSION)


def require(root: Path, *, room: bool = False) -> None:
    """A store that was there is there still.

    Raises:
        StoreFailed: It is gone, or has no room left.
    """
    if not (root / VERSION).is_file():
        raise StoreFailed(
            f"{root}: the store is gone (a lost mount?); nothing was written; bring it back and run again"
        )
    if room and shutil.disk_usage(root).free < ROOM_BYTES:
        raise failed(root, OSError(errno.ENOSPC, "full"))


def look_again(*folders: Path) -> None:
    """Have this machine ask a network file system anew what lies in folders, outermost first.

    Linux's NFS client remembers for up to a minute that a name is not there, unless its mount says
    `lookupcache=positive`; it asks anew when the folder has changed, and making a file there changes it. By nfs(5), not
    run on an NFS. What cannot be written is believed as it is seen.
    """
    for folder in folders:
        probe = folder / f".look-{uuid.uuid4().hex[:8]}"
        with suppress(OSError):
            probe.touch(exist_ok=False)
            probe.unlink()


def failed(root: Path, error: OSError) -> StoreFailed:
    """The one line for an error of the file system."""
    why = _MEANS.get(error.errno or 0, error.strerror or str(error))
    return StoreFailed(
        f"{root}: cannot be read or written: {why}; what is finished is kept, put this right and run the same again"
    )


def line(error: OSError) -> str | None:
    """What a command says of a disk that refuses outside the store; None for any other error."""
    why = _MEANS.get(error.errno or 0)
    return None if why is None else f"{error.filename or 'a file'}: cannot be read or written: {why}; put this right"


@contextmanager
def told(root: Path) -> Iterator[None]:
    """Errors of the file system as `StoreFailed`; others (a server's, say) pass as they are.

    Raises:
        StoreFailed: The file system refused.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _MEANS:
            raise
        raise failed(root, error) from error
