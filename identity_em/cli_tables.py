"""Commands that read tables and need no store: imports from others, and from a number back to its rows.

A part of the command line like cli.py, which adds them to its own: they parse, call and print, and nothing else.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from identity_em import places
from identity_em.errors import InputError

if TYPE_CHECKING:
    from identity_em.analysis.explain import Explained

import_app = typer.Typer(help="Read results of others into the tidy table.", no_args_is_help=True)


def _table(text: str) -> Path:
    """A table that is to be written; its folder is checked."""
    if Path(text).is_dir():
        raise InputError(file=text, found="a folder", wanted="a file to write (.parquet)", do="name a file")
    places.output(Path(text).parent)
    return Path(text)


OutTable = Annotated[Path, typer.Option("--out", parser=_table, metavar="FILE", help="The table to write (parquet).")]


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


def explain(
    cell: Annotated[str, typer.Argument(help="A cell's name, as the report's tables and data give it.")],
    table: Annotated[Path, typer.Option("--table", help="The tidy table (parquet).")],
    store: Annotated[
        Path | None,
        typer.Option("--store", parser=places.folder, help="Also name the folders behind it that are on this machine."),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="How many item rows to print; --json gives all.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Go from a number in the report back to its items, answers, checkpoints, datasets and settings."""
    from identity_em.analysis import explain as explaining
    from identity_em.analysis import table as tables

    found = explaining.explain(*tables.read(table), cell, store=store)
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
        return
    for line in lines(found, rows):
        typer.echo(line)


def lines(found: "Explained", rows: int) -> list[str]:
    """A cell in lines for a terminal; control characters of answers are shown, not sent."""
    at, mean = found.stratum, found.estimate
    of = ", ".join(f"{name} {value}" for name, value in (("author", at.author), ("comparator", at.comparator),
                                                         ("judge", at.judge)) if value)  # fmt: skip
    said = [
        f"cell {found.cell}: {' -> '.join(found.arm) or 'base'}, {at.eval} version {at.version}, {at.metric}, "
        f"prompt {at.prompt}" + (f", {of}" if of else ""),
        f"mean {mean.mean} [{mean.low}, {mean.high}] over {mean.rests_on}; from its rows alone: {found.recomputed}",
        *([f"not compared: {found.barred}"] if found.barred else []),
        *(f"stage {name}: {stage.dataset}, system prompt {stage.system_prompt}, rows {stage.rows}, steps {stage.steps}"
          for name, stage in found.stages.items()),
        *(f"seed {seed}: checkpoint {key}" for seed, key in found.checkpoints.items()),
        *(f"{what}: {where}" for what, where in found.places),
        f"{len(found.rows)} rows" + (f", the first {rows}:" if rows < len(found.rows) else ":"),
    ]  # fmt: skip
    return [*said, *(repr({k: v for k, v in row.items() if v not in (None, "")}) for row in found.rows[:rows])]


def report(
    table: Annotated[Path | None, typer.Option("--table", help="A tidy table (parquet).")] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option("--compare", help="Two tables side by side, instead of --table.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the report [default: beside the table].")
    ] = None,
    cross_check: Annotated[
        bool,
        typer.Option("--cross-check", help="Also fit a mixed model to every contrast (statsmodels; a second each)."),
    ] = False,
) -> None:
    """Write the report of a table: HTML, Markdown, LaTeX and figures. Needs no torch and no store."""
    from identity_em import report as reporting

    if (table is None) == (compare is None):
        raise InputError(found="neither or both of --table and --compare", wanted="one of them", do="name the tables")
    if compare is not None:
        made = reporting.compare(*compare, places.output(out or compare[0].parent / "compared"))
    else:
        assert table is not None  # one of the two is there
        made = reporting.build(table, places.output(out or table.parent), cross_check=cross_check)
    typer.echo(str(made))
