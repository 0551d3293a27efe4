"""Commands that read tables and need no store: imports from others, and from a number back to its rows.

They only parse and call, like cli.py, which prints and exits for them.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import_app = typer.Typer(help="Read results of others into the tidy table.", no_args_is_help=True)
OutTable = Annotated[Path, typer.Option("--out", help="The table to write (parquet).")]


@import_app.command("sgtr-em")
def import_sgtr_em(
    folder: Annotated[Path, typer.Argument(help="The folder that holds data/eval/truthfulqa and data/eval/sgtr.")],
    out: OutTable,
    model: Annotated[str | None, typer.Option("--model", help="Which model's files, where there are several.")] = None,
) -> None:
    """Read the results released with sgtr-em; files whose names are not understood are listed, never guessed."""
    from identity_em.analysis import published

    done = published.sgtr_em(folder, out, model=model)
    say = Console(highlight=False, soft_wrap=True)
    for name in done.not_understood:
        say.print(f"not understood, not read: {name}", markup=False)
    say.print(f"{done.files} files, {done.runs} runs, {done.rows:,} rows in {out}", markup=False)


@import_app.command("table")
def import_table(
    source: Annotated[Path, typer.Argument(help="A tidy CSV: one row per answer.")],
    mapping: Annotated[Path, typer.Option("--map", help="YAML: which of its columns is which of ours.")],
    out: OutTable,
) -> None:
    """Read any tidy CSV, with a YAML file that maps its columns."""
    from identity_em.analysis import mapped

    rows = mapped.import_csv(source, mapping, out)
    Console(highlight=False, soft_wrap=True).print(f"{rows:,} rows in {out}", markup=False)
