"""Commands about a store and the runs in it: status, cancel, retry, gc.

A part of the command line like cli.py, which adds them to its own: they parse, call and print, and nothing else.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from identity_em import places
from identity_em.errors import DamagedArtefact, InputError

if TYPE_CHECKING:
    from identity_em.store import Store
    from identity_em.study.plan import Plan
    from identity_em.sweeping import Litter

StudyArgument = Annotated[str, typer.Argument(help="A study file (YAML), or the name of a preset such as `pocket`.")]
StoreOption = Annotated[
    Path,
    typer.Option(
        envvar="IDENTITY_EM_STORE", parser=str, callback=places.folder, metavar="FOLDER|URL",
        help="Where artefacts are kept and found: a folder, or a bucket (s3://..., gs://...).",
    ),
]  # fmt: skip
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
_STORE = Path("store")


def status(
    study: StudyArgument,
    store: StoreOption = _STORE,
    verify: Annotated[bool, typer.Option("--verify", help="Read every byte; exit 2 where any changed.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how far a study is, from any terminal or machine that sees the store; nothing is changed."""
    from identity_em import display
    from identity_em.engine import progress as so_far
    from identity_em.store import Store

    planned, kept = _plan(study), Store(store)
    now = so_far.look(planned, kept)
    if as_json:
        sys.stdout.write(json.dumps(now.as_json(), indent=1) + "\n")
    else:
        _out().print(display.matrix(planned, now.there, now.lost))
        for line in (*_making(now.making), *now.lost_lines(), now.line(places.named(store))):
            _out().print(line, markup=False, highlight=False, soft_wrap=True)
    if verify:
        _verify(planned, kept)


def cancel(study: StudyArgument, store: StoreOption = _STORE) -> None:
    """Ask the running runs of a study to stop after what they are making; they still write table and report."""
    from identity_em.engine.ledger import Ledger

    name = _plan(study).study.name
    asked = Ledger(store, name).cancel()
    if not asked:
        raise InputError(
            found=f"no run of {name} in progress", wanted="one", do="see `identity-em status`", file=places.named(store)
        )
    _out().print(f"asked {asked} run{'s' if asked > 1 else ''} of {name} to stop; what is being made is finished first")


def gc(
    studies: Annotated[
        list[str] | None, typer.Argument(help="Studies as they are now: what only their older versions want goes.")
    ] = None,
    store: StoreOption = _STORE,
    delete: Annotated[bool, typer.Option("--delete", help="Remove it; without this it is only listed.")] = False,
) -> None:
    """List what no study run in a store wants any more, with partial and damaged folders and old logs."""
    from identity_em import bucket_sweeping, sweeping
    from identity_em.engine import ledger
    from identity_em.store import Store

    Store(store)
    now = [_plan(study) for study in studies or []]
    _check_collectable(store, known=bool(now), delete=delete)
    swept = sweeping if places.bucket(store) is None else bucket_sweeping
    with ledger.collecting(store) if delete else nullcontext():
        recorded = ledger.wanted(store, but=[plan.study.name for plan in now])
        found = swept.find(store, set().union(*recorded.values(), *({a.key for a in plan.artefacts} for plan in now)))
        _count(found)
        names = ", ".join(sorted({*recorded, *(plan.study.name for plan in now)})) or "no study"
        if delete:
            _out().print(f"removed {swept.remove(found) / 1e6:,.1f} MB; kept what {names} want", highlight=False)
    if not delete:
        _out().print(
            f"{sum(one.bytes for one in found) / 1e6:,.1f} MB would go and nothing was removed (--delete removes it); "
            f"kept is what these studies want: {names}", highlight=False, soft_wrap=True,
        )  # fmt: skip


def _count(found: "Sequence[Litter]") -> None:
    size, count = Counter[str](), Counter[str]()
    for one in found:
        size[one.what] += one.bytes
        count[one.what] += 1
    for what, number in count.items():
        _out().print(f"{what:11} {number:8,}   {size[what] / 1e6:12,.1f} MB", highlight=False)


def _check_collectable(store: Path, *, known: bool, delete: bool) -> None:
    """Nothing is deleted from a folder that is no store, nor from a store of which nothing is known.

    Args:
        known: Whether studies were named whose artefacts stay.

    Raises:
        InputError: Nothing is, or there is no store.
    """
    from identity_em import store_state
    from identity_em.engine import ledger

    recorded = ledger.wanted(store) if delete else {}
    # The sign that a store is there; one from before there was the sign is known by its studies.
    if not store.is_dir() or (delete and not recorded and not places.at(store).exists(store_state.VERSION)):
        raise InputError(found="no store", wanted="a store", do="name one with --store", file=places.named(store))
    if delete and not (known or recorded):
        raise InputError(
            found="a store in which no study is recorded", wanted="studies whose artefacts stay",
            do="name them: identity-em gc STUDY ... --delete", file=places.named(store),
        )  # fmt: skip


def _verify(plan: "Plan", store: "Store") -> None:
    """Say every damaged artefact in a line and exit 2."""
    damaged = 0
    for artefact in plan.artefacts:
        try:
            if store.holds(artefact):
                store.open(artefact)
        except DamagedArtefact as error:
            sys.stderr.write(f"identity-em: {error}\n")
            damaged += 1
    if damaged:
        raise typer.Exit(2)


def _making(making: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    for name, owner in making.items():
        since = datetime.fromtimestamp(float(owner.get("since") or 0), tz=UTC)
        lines.append(
            f"being made: {name} on {str(owner.get('host', '?')).split()[0]} since {since:%Y-%m-%d %H:%M:%S} UTC"
        )
    return lines


def _plan(study: str) -> "Plan":
    from identity_em.study import plan as planning

    return planning.plan(planning.find(study))


def _out() -> Console:
    return Console()
