"""A bucket of any object store that fsspec knows: names, small texts and files; every failure in one line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from identity_em.errors import InputError, MissingEnvironment, StoreFailed

if TYPE_CHECKING:
    from identity_em.claims import Claim

_EXTRAS: Final = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
# For so many seconds an object store that fails is asked again, the first time after so many.
_PATIENCE, _FIRST_WAIT = 60.0, 0.5
_Answer = TypeVar("_Answer")


class Bucket:
    """What lies under a URL; a `Place`.

    Putting an object is atomic in an object store, and what was put is listed at once (S3 and GCS both promise so);
    nothing more is asked of it, and that an object can be put only where there is none.

    Args:
        url: `s3://BUCKET/PREFIX`, or of another protocol.

    Raises:
        InputError: No such protocol.
        MissingEnvironment: Its package is not installed.
    """

    pause = 2.0

    def __init__(self, url: str) -> None:
        self.url = url
        self._answered = False
        self._fs, self._path = _connect(url)

    def read(self, name: str) -> str | None:
        """As `Place`."""
        found = self._ask(lambda: bytes(self._fs.cat_file(self._at(name))))
        return None if found is None else found.decode(errors="replace")

    def write(self, name: str, text: str) -> None:
        """As `Place`."""
        self._put(name, text, "overwrite")

    def add(self, name: str, text: str) -> bool:
        """Put a text where there is none yet; whether this did."""
        if self.exists(name):  # asked as well: not every server heeds the condition
            return False
        try:
            return self._put(name, text, "create")
        except (FileExistsError, StoreFailed):
            if self.exists(name):  # and not every client says so in one way
                return False
            raise

    def exists(self, name: str) -> bool:
        """As `Place`."""
        return bool(self._ask(lambda: self._fs.exists(self._at(name))))

    def remove(self, name: str) -> None:
        """As `Place`."""
        self._ask(lambda: self._fs.rm_file(self._at(name)))

    def names(self, folder: str) -> list[str]:
        """As `Place`."""
        at = self._at(folder).rstrip("/")
        found: list[str] = self._ask(lambda: self._fs.ls(at, detail=False)) or []
        return sorted({one.rstrip("/").removeprefix(f"{at}/") for one in found} - {at, ""})

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Bytes of everything below a folder, by name within it."""
        at = self._at(folder).rstrip("/")
        found: dict[str, Any] = self._ask(lambda: self._fs.find(at, detail=True)) or {}
        return {name.removeprefix(f"{at}/"): int(facts["size"] or 0) for name, facts in found.items()}

    def modified(self, name: str) -> float | None:
        """When an object was put, in Unix seconds by the server's clock; None where there is none."""
        found = self._ask(lambda: self._fs.modified(self._at(name)))
        return None if found is None else float(found.timestamp())

    def send(self, path: Path, name: str) -> None:
        """Put a file."""
        if self._ask(lambda: (self._fs.put_file(str(path), self._at(name)), True)) is None:
            raise self._failed("there is no such bucket")

    def fetch(self, name: str, path: Path) -> bool:
        """Bring an object here as a file; whether it is there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return self._ask(lambda: (self._fs.get_file(self._at(name), str(path)), True)) is not None

    def lock(self, name: str) -> Claim:
        """As `Place`."""
        from identity_em.claims import Claim

        return Claim(self, name)

    def where(self, name: str) -> str:
        """As `Place`."""
        return f"{self.url}/{name}"

    def _put(self, name: str, text: str, mode: str) -> bool:
        put = self._ask(lambda: (self._fs.pipe_file(self._at(name), text.encode(), mode=mode), True))
        if put is None:
            raise self._failed("there is no such bucket")
        return True

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _ask(self, do: Callable[[], _Answer]) -> _Answer | None:
        """What the object store answers; None where it has no such object.

        One that has answered before and fails now is asked again for a while: a network that is gone for a moment must
        not cost a training.

        Raises:
            FileExistsError: It has one where none may be.
            StoreFailed: Anything else: each client has its own tree of errors, and most are no OSError.
        """
        end, wait = time.monotonic() + (_PATIENCE if self._answered else 0.0), _FIRST_WAIT
        while True:
            try:
                answer: _Answer | None = do()
            except FileNotFoundError:
                answer = None
            except FileExistsError:
                raise
            except Exception as error:
                if isinstance(error, PermissionError) or time.monotonic() + wait > end:
                    raise self._failed(" ".join(f"{type(error).__name__}: {error}".split())[:200]) from error
                time.sleep(wait)
                wait = min(2 * wait, 8.0)
                continue
            self._answered = True
            return answer

    def _failed(self, why: str) -> StoreFailed:
        return StoreFailed(
            f"{self.url}: cannot be read or written: {why}; what is finished is kept, put this right and run the same "
            "again"
        )


def _connect(url: str) -> tuple[Any, str]:
    """The file system of a URL that lists what is there now, and the path in it."""
    from fsspec.core import url_to_fs

    protocol = url.split("://")[0]
    try:
        fs, path = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        do = (
            f"in the checkout: pip install -e '.[{extra}]'" if extra else f"install what fsspec needs for {protocol}://"
        )
        raise MissingEnvironment(found=f"no package for {protocol}://", wanted="one", do=do, file=url) from error
    except ValueError as error:
        raise InputError(
            found=f"the protocol {protocol}://", wanted="s3://, gs://, or another that fsspec knows",
            do="give such a URL, or a folder, with --store", file=url,
        ) from error  # fmt: skip
    return fs, str(path).rstrip("/")
