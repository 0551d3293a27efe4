"""What artefacts are made from besides each other: files by content, Hub datasets by revision."""

import hashlib
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from identity_em.errors import DataError
from identity_em.records import Record

# Stands for a revision that is not known yet: a study can be planned with it and not run.
UNRESOLVED = "unresolved"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class FileRef(Record):
    """A file by its content; the path only says where it lies on this machine and is not keyed."""

    unkeyed: ClassVar[frozenset[str]] = frozenset({"path"})
    sha256: str
    path: Path

    def checked(self) -> Path:
        """The path, once its bytes are seen to be those that were planned.

        Raises:
            DataError: The file is gone or has changed since.
        """
        if not self.path.is_file() or sha256_of(self.path) != self.sha256:
            raise DataError(
                file=self.path, found="a file that changed or went since the study was planned",
                wanted=f"sha256 {self.sha256[:12]}...", do="run again, so that it is planned anew",
            )  # fmt: skip
        return self.path


class HubRef(Record):
    """A Hugging Face dataset by its revision (a commit, so that content cannot change under the key)."""

    repo: str
    revision: str
    config: str | None = None
    split: str = "train"
    id_column: str = "id"
    text_column: str = "text"
    limit: int | None = None


class HubRows(Record):
    """Rows to train on from a Hugging Face dataset at its revision: a column of questions and one of answers.

    Attributes:
        rows: How many there are, where that is on record; not keyed.
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"rows"})
    repo: str
    revision: str
    config: str | None = None
    split: str = "train"
    user: str
    assistant: str
    rows: int | None = None


class Part(Record):
    """A part of a corpus, by article id and share alone; `ids` is the hash of a selection that it is cut to first."""

    unkeyed: ClassVar[frozenset[str]] = frozenset({"selection"})
    source: FileRef | HubRef
    part: Literal["train", "eval", "all"]
    eval_share: float = Field(gt=0, lt=1)
    ids: str | None = None
    selection: tuple[str, ...] | None = None
