"""Commands that share artefacts: push, pull.

A part of the command line like cli.py, which adds them to its own: they parse, call and print, and nothing else.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from identity_em.cli_store import StoreOption

if TYPE_CHECKING:
    from identity_em.hub.push import Parcel

_STORE = Path("store")


def push(
    key: Annotated[str, typer.Argument(help="A checkpoint's or dataset's key, or its beginning.")],
    target: Annotated[str, typer.Argument(help="A new folder, hf://USER/NAME or hf://datasets/USER/NAME.")],
    store: StoreOption = _STORE,
    label: Annotated[str, typer.Option(help="What the card calls it [default: its key].")] = "",
    dry: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent; send and write nothing.")] = False,
    public: Annotated[bool, typer.Option("--public", help="A repository that everybody can read.")] = False,
    harmful: Annotated[bool, typer.Option("--include-harmful", help="Also training rows that may be harmful.")] = False,
) -> None:
    """Write a checkpoint or dataset as others load it (PEFT, datasets), with a card that says what it is and warns."""
    from identity_em.hub import push as packing
    from identity_em.hub import repositories
    from identity_em.store import Store

    repository = repositories.parse(target)
    with tempfile.TemporaryDirectory() as place:
        parcel = packing.pack(Store(store), key, Path(place) / "parcel", label=label, harmful=harmful)
        if dry:
            _show(parcel, target)
        elif repository is None:
            packing.lay(parcel, Path(target))
            _say(f"{parcel.kind} {parcel.key[:12]} in {target}")
        else:
            _say(f"{parcel.kind} {parcel.key[:12]} in {repositories.send(parcel, repository, public=public)}")


def pull(
    source: Annotated[str, typer.Argument(help="A folder that push wrote, hf://USER/NAME[@REVISION], or a dataset's.")],
    store: StoreOption = _STORE,
) -> None:
    """Take what was pushed into a store under its keys, every byte checked."""
    from identity_em.hub import pull as taking
    from identity_em.hub import repositories
    from identity_em.store import Store

    repository = repositories.parse(source)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(source)
        if repository is not None:
            folder = Path(place)
            repositories.bring(repository, folder)
        for one, new in taking.pull(folder, Store(store)).items():
            _say(f"{one.kind} {one.key}{'' if new else ' (was there already)'}")


def _show(parcel: "Parcel", target: str) -> None:
    for name, size in parcel.sizes.items():
        _say(f"{size:14,}  {name}")
    _say(f"{sum(parcel.sizes.values()):14,}  bytes in {len(parcel.sizes)} files would go to {target}; nothing was sent")


def _say(line: str) -> None:
    Console().print(line, markup=False, highlight=False, soft_wrap=True)
