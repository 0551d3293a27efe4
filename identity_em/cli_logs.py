"""Commands that show a study's answers in Inspect's viewer.

A part of the command line like cli.py, which adds them to its own: they parse, call and print, and nothing else.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from identity_em import places
from identity_em.cli_store import StoreOption
from identity_em.errors import InputError

_STORE = Path("store")


def export_logs(
    study: Annotated[str, typer.Argument(help="A study file (YAML), or the name of a preset.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the logs [default: results/STUDY/logs].")
    ] = None,
    store: StoreOption = _STORE,
) -> None:
    """Write what a study asked and read as Inspect logs (.eval), one for each reading."""
    folder = _export(study, out, store)
    logs = len(list(folder.glob("*.eval")))
    Console(highlight=False, soft_wrap=True).print(f"{logs} logs in {folder}", markup=False)


def view(
    target: Annotated[str, typer.Argument(help="A study, or a folder of Inspect logs.")],
    store: StoreOption = _STORE,
    host: Annotated[str, typer.Option("--host", help="Where the viewer listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where the viewer listens.")] = 7575,
) -> None:
    """Open Inspect's viewer on a study's answers, or on any folder of Inspect logs; Ctrl-C ends it."""
    folder = Path(target) if Path(target).is_dir() else _export(target, None, store)
    if not any(folder.rglob("*.eval")) and not any(folder.rglob("*.json")):
        raise InputError(
            found="no logs", wanted="Inspect logs (.eval)", do="name a study or another folder", file=folder
        )
    from inspect_ai._view.view import view as serve

    serve(str(folder), host=host, port=port)


def _export(study: str, out: Path | None, store: Path) -> Path:
    from identity_em.engine import logs
    from identity_em.store import Store
    from identity_em.study import plan as planning

    planned = planning.plan(planning.find(study))
    folder = places.output(out or Path("results") / planned.study.name / "logs")
    logs.export(planned, Store(store), folder)
    return folder
