"""Repositories of the Hugging Face Hub, or of what HF_ENDPOINT names: folders are sent there and brought from there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from identity_em.errors import InputError, ServerFailed
from identity_em.hub.push import INSIDE, Parcel

_NAME = re.compile(r"hf://(datasets/)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


@dataclass(frozen=True)
class Repository:
    """A repository's address.

    Attributes:
        name: `USER/NAME`.
        revision: Branch, tag or commit to bring.
    """

    name: str
    kind: Literal["model", "dataset"]
    revision: str | None = None


def parse(text: str) -> Repository | None:
    """`hf://USER/NAME`, or `hf://datasets/USER/NAME`, `@REVISION` after either; None for what is no such address.

    Raises:
        InputError: It begins as one and is none.
    """
    if not text.startswith("hf://"):
        return None
    found = _NAME.fullmatch(text)
    if found is None:
        raise InputError(found=text, wanted="hf://USER/NAME or hf://datasets/USER/NAME", do="write it so")
    return Repository(found[2], "dataset" if found[1] else "model", found[3])


def send(parcel: Parcel, to: Repository, *, public: bool) -> str:
    """Send a folder to a repository, which is made where there is none; its address.

    Raises:
        InputError: It is there and everybody can read it, and nobody said that this may be; or of the other kind.
        ServerFailed: The Hub refused.
    """
    from huggingface_hub import HfApi

    kind = "dataset" if parcel.kind == "dataset" else "model"
    if kind != to.kind:
        address = f"hf://{'datasets/' if kind == 'dataset' else ''}{to.name}"
        raise InputError(found=f"a {parcel.kind} for a {to.kind} repository", wanted=address, do="give that")
    api = HfApi()
    with _told(to):
        api.create_repo(to.name, private=not public, repo_type=kind, exist_ok=True)
        if not public and not api.repo_info(to.name, repo_type=kind).private:
            raise InputError(
                found=f"a public repository {to.name}", wanted="a private one", do="give --public, or another name"
            )
        done = api.upload_folder(
            repo_id=to.name, folder_path=parcel.folder, repo_type=kind, commit_message=f"identity-em {parcel.key}"
        )
    return str(done.commit_url)


def bring(source: Repository, folder: Path) -> None:
    """Bring what `pull` takes from a repository into a folder.

    Raises:
        ServerFailed: The Hub refused, or cannot be reached.
    """
    from huggingface_hub import snapshot_download

    with _told(source):
        snapshot_download(
            source.name, repo_type=source.kind, revision=source.revision, local_dir=folder,
            allow_patterns=[f"{INSIDE}/*"],
        )  # fmt: skip


@contextmanager
def _told(repository: Repository) -> Iterator[None]:
    """The Hub's errors, of which there are many, as one line.

    Raises:
        ServerFailed: Any of them.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    try:
        yield
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise ServerFailed(f"hf://{repository.name}: {type(error).__name__}: {why}") from error
