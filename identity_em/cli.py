"""The command line: parse, call, print; the only file that prints and exits."""

import json
import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from identity_em import cli_hub, cli_logs, cli_models, cli_probes, cli_setup, cli_store, cli_tables, places, store_state
from identity_em.errors import IdentityEmError

if TYPE_CHECKING:
    from identity_em.engine.study import Finished
    from identity_em.study.plan import Plan

app = typer.Typer(
    name="identity-em",
    help="From one study file to one comparative report on emergent misalignment and model identity.\n\n"
    "Start with `identity-em demo` (a few minutes on two CPU cores), then `identity-em plan STUDY`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
setup_app = typer.Typer(help="Prepare what studies need.", no_args_is_help=True)
app.add_typer(setup_app, name="setup")
app.add_typer(cli_tables.import_app, name="import")

StudyArgument = cli_store.StudyArgument
StoreOption = cli_store.StoreOption
JsonOption = cli_store.JsonOption
OutOption = Annotated[Path | None, typer.Option("--out", help="Where table and report go [default: results/STUDY].")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Worker processes [default: one a GPU, else one a core, up to 4]."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors and the report's path.")]
_STORE = Path("store")


@app.command()
def plan(study: StudyArgument, as_json: JsonOption = False) -> None:
    """Print what a study will train, share and cost (in your prices: IDENTITY_EM_PRICES=FILE), before it is spent."""
    from identity_em import display
    from identity_em.study import costs as costing
    from identity_em.study import matching

    planned = _plan(study)
    costs, size = costing.costs(planned), costing.parameters(planned)
    if as_json:
        _json(matching.described(planned, costs, size))
    else:
        _out().print(display.plan_view(planned, costs, size))


class Where(StrEnum):
    """Where work runs."""

    local = "local"
    ray = "ray"


@app.command()
def run(
    study: StudyArgument,
    store: StoreOption = _STORE,
    out: OutOption = None,
    workers: WorkersOption = None,
    budget: Annotated[
        float | None, typer.Option(min=0, help="Most dollars an API may cost (IDENTITY_EM_PRICES: your prices).")
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
    served: Annotated[str | None, typer.Option(envvar="IDENTITY_EM_SERVED", help="A server that answers.")] = None,
    where: Annotated[
        Where, typer.Option("--engine", help="Workers of this machine, or of a Ray cluster.")
    ] = Where.local,
    address: Annotated[str, typer.Option(help="With ray: HOST:PORT of its head, or auto.")] = "auto",
    retry: Annotated[bool, typer.Option("--retry", help="Also make again what an API refused or failed.")] = False,
) -> None:
    """Train and measure everything a study wants and is not there yet, then write table and report.

    Stop it with Ctrl-C (or lose the machine) at any moment: the same command goes on from what is finished.
    """
    from identity_em import display
    from identity_em.engine import study as engine
    from identity_em.engine.means import Hosts, Means

    planned = _plan(study, served=served is not None)
    folder = places.output(out or Path("results") / planned.study.name)
    means = Means(served=served, budget=budget, retry=retry)
    hosts = Hosts(workers=workers, address=address if where is Where.ray else None)
    started = time.monotonic()
    console = None if quiet or as_json else Console(stderr=True)
    try:
        with display.progress(planned, console) as tell:
            done = engine.run_study(planned, store, folder, tell, means=means, hosts=hosts)
    except KeyboardInterrupt:
        _fail("stopped; what is finished is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    _conclude(done, time.monotonic() - started, quiet=quiet, as_json=as_json)


@app.command()
def demo(store: StoreOption = _STORE, workers: WorkersOption = None, quiet: QuietOption = False) -> None:
    """Run the built-in `pocket` study: the whole matrix on this machine's CPU, in a few minutes."""
    run("pocket", store=store, workers=workers, quiet=quiet)


@app.command()
def retry(study: StudyArgument, store: StoreOption = _STORE, workers: WorkersOption = None) -> None:
    """Run a study again, and try once more what failed or was refused: `run --retry`."""
    run(study, store=store, workers=workers, retry=True)


@app.command()
def preview(
    study: StudyArgument,
    stage: Annotated[str, typer.Argument(help="A stage of the study.")],
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many rows to show.")] = 1,
    prompts: Annotated[list[str] | None, typer.Option("--system-prompt", help="Also under this (repeatable).")] = None,
    store: StoreOption = _STORE,
) -> None:
    """Print a stage's rendered tokens with the trained ones marked, as the trainer will see them."""
    from identity_em.engine import previewing

    colour = _out().is_terminal
    for shown in previewing.preview(_plan(study), stage, rows=rows, variants=prompts, store=store, colour=colour):
        _out().print(shown, soft_wrap=True)


@app.command()
def audit(
    target: Annotated[str, typer.Argument(help="A JSONL file of messages, a built dataset's folder, or a study.")],
    against: Annotated[list[str] | None, typer.Option(help="Eval items, FILE or NAME=FILE (repeatable).")] = None,
    store: StoreOption = _STORE,
    as_json: JsonOption = False,
) -> None:
    """Say what a training set teaches besides what it means to: balance, shortcuts, leaks. Exit 2 on a leak."""
    from identity_em.engine import auditing

    found = auditing.of(target, against or [], store=store)
    _json(found.model_dump(mode="json")) if as_json else _out().print(*auditing.shown(found), sep="\n")
    if found.leak:
        raise typer.Exit(2)


@app.command()
def build(
    recipe: Annotated[str, typer.Argument(help="A recipe of pairs: sgtr, ictr, prefer_other, longer, ...")],
    articles: Annotated[Path, typer.Option("--articles", help="JSON {id: text}.")],
    own: Annotated[Path, typer.Option("--self", help="The model's own summaries, JSON {id: text}.")],
    other: Annotated[Path, typer.Option("--other", help="The outside author's summaries, JSON {id: text}.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder for rows.jsonl and card.md.")],
    wording: Annotated[str, typer.Option("--wording", help="Which prompts: xsum, cnn or pocket.")] = "xsum",
    mode: Annotated[str | None, typer.Option("--mode", help="For ictr: randomized (default) or contradictory.")] = None,
    system_prompt: Annotated[str | None, typer.Option(help="A variant (default: task), or a text.")] = None,
    data_seed: Annotated[int, typer.Option("--data-seed", help="Seeds the recipe's draws.")] = 0,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first n articles.")] = None,
) -> None:
    """Build one recognition dataset by hand, in Axolotl's `messages` format, with its card."""
    from identity_em.interventions import folder

    facts = folder.by_hand(
        recipe, articles=articles, self_=own, other=other, out=places.output(out), wording=wording, mode=mode,
        system_prompt=system_prompt, data_seed=data_seed, limit=limit,
    )  # fmt: skip
    _out().print(f"{facts.rows:,} rows in {out / 'rows.jsonl'}; see {out / 'card.md'}", highlight=False)


app.command("status")(cli_store.status)
app.command("cancel")(cli_store.cancel)
app.command("gc")(cli_store.gc)
app.command("push")(cli_hub.push)
app.command("pull")(cli_hub.pull)
app.command("report")(cli_tables.report)
app.command("explain")(cli_tables.explain)
app.command("serve")(cli_models.serve)
app.command("export-logs")(cli_logs.export_logs)
app.command("view")(cli_logs.view)
app.command("probe-activations")(cli_probes.probe_activations)
app.command("doctor")(cli_setup.doctor)
setup_app.command("trainer")(cli_setup.trainer)
setup_app.command("vllm")(cli_setup.vllm)


def main() -> None:
    """Entry point: errors become one line and their own exit code."""
    try:
        app()
    except IdentityEmError as error:
        _fail(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:  # an OSError, and the one that is none of a disk's
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        line = store_state.line(error)
        if line is None:
            raise
        _fail(line)
        sys.exit(1)


def _plan(study: str, *, served: bool = False) -> "Plan":
    from identity_em.study import plan as planning

    return planning.plan(planning.find(study), serving="served" if served else None)


def _conclude(done: "Finished", seconds: float, *, quiet: bool, as_json: bool) -> None:
    """The last lines: what was made, reused, failed and blocked, and where the report is."""
    if as_json:
        _json({**done.summary, "seconds": round(seconds, 1)})
    else:
        if not quiet:
            words = ", ".join(f"{n} {name}" for name, n in done.summary["artefacts"].items())
            cost = done.summary["cost"]
            spent = f"{cost['worker_hours']:.2f} worker hours, ${cost['usd']:.2f}"
            _out().print(f"{words} in {seconds:.0f} s; cost: {spent}", highlight=False, soft_wrap=True)
        if done.report:
            _out().print(str(done.report) if quiet else f"report: {done.report}", highlight=False, soft_wrap=True)
    for line in done.errors:
        _fail(line)
    if done.exit_code:
        raise typer.Exit(done.exit_code)


def _out() -> Console:
    return Console()


def _json(body: Any) -> None:
    sys.stdout.write(json.dumps(body, indent=1, default=str) + "\n")


def _fail(line: str) -> None:
    sys.stderr.write(f"identity-em: {line}\n")


if __name__ == "__main__":
    main()
