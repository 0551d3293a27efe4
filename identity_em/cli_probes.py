"""The command that probes activations.

A part of the command line like cli.py, which adds it to its own: it parses, calls and prints, and nothing else.
"""

from pathlib import Path
from typing import Annotated

import typer

from identity_em import places
from identity_em.cli_store import StoreOption


def probe_activations(
    study: Annotated[str, typer.Argument(help="A study file (YAML), or the name of a preset.")],
    store: StoreOption = Path("store"),
    out: Annotated[Path | None, typer.Option("--out", help="Where the table is [default: results/STUDY].")] = None,
) -> None:
    """Fit two linear probes to each checkpoint (harmful answers, claims about oneself), then write the report anew.

    The study asks score_prediction and self_assessment and has been run. The figures are in probes.json beside its
    table.
    """
    from identity_em import report
    from identity_em.engine import probing
    from identity_em.engine.study import TABLE
    from identity_em.store import Store
    from identity_em.study import plan as planning

    planned = planning.plan(planning.find(study))
    folder = places.output(out or Path("results") / planned.study.name)
    for found in probing.probe(planned, Store(store), folder):
        best, name = found.best, " -> ".join(found.arm) or "base"
        typer.echo(
            f"{name}{'' if found.seed is None else f', seed {found.seed}'}: harm {best.harm.accuracy:.2f} "
            f"(shuffled {best.harm.shuffled:.2f}) at layer {best.harm.layer}; claims {best.claims.accuracy:.2f} "
            f"(shuffled {best.claims.shuffled:.2f}); cosine {best.cosine:+.2f}"
        )
    if (folder / TABLE).is_file():
        typer.echo(f"report: {report.build(folder / TABLE, folder)}")
