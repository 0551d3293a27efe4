"""One study from plan to report: preflight, run, table, report."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from identity_em import places, store_state
from identity_em.engine import answering, assemble, gpus, hosting, outcomes, preflight, till
from identity_em.engine.guarded import Guarded
from identity_em.engine.ledger import Ledger
from identity_em.engine.local import Local
from identity_em.engine.means import Hosts, Means
from identity_em.engine.run import Engine, Progress, run
from identity_em.errors import InputError
from identity_em.store import Store
from identity_em.study.artefacts import Artefact, Checkpoint
from identity_em.study.plan import Plan
from identity_em.tasks.desk import FOLDER, Purse
from identity_em.training import environment, launch
from identity_em.training.placement import Placement

TABLE = "table.parquet"
_WORKERS, _HERE = 4, Hosts()
_WAITING = (
    "trained; the answers wait for a server: `identity-em serve STUDY`, then `identity-em run STUDY --served URL`"
)
_CANCELLED = "cancelled: what is finished is kept, and the same command goes on from there"


@dataclass(frozen=True)
class Finished:
    """How a study ended.

    Attributes:
        report: Path of report.html; None where nothing could be read yet.
        summary: Counts and paths, fit for JSON.
        errors: One line for each artefact that failed, and for each that was damaged and remade.
        exit_code: 0 where everything wanted is there.
    """

    report: Path | None
    summary: dict[str, Any]
    errors: tuple[str, ...]
    exit_code: int


def run_study(
    plan: Plan,
    root: Path,
    out: Path,
    tell: Callable[[Progress], None],
    *,
    means: Means | None = None,
    hosts: Hosts = _HERE,
) -> Finished:
    """Make what is missing, then write table and report.

    Args:
        means: The server that answers and the budget; a study to be served is only trained without a server.
        hosts: Where it is made; this machine by default.

    Raises:
        InputError: Something needed is not there or cannot be used; nothing was written.
    """
    store = Store(root)
    preflight.check(plan, store)
    means = means or Means()
    _check_budget(means, root)
    if means.served is not None:
        answering.check(plan, store, means.served)
    todo = [checkpoint for checkpoint in plan.trainings if not store.has(checkpoint)]
    trainer = environment.require_trainer() if todo and not plan.base.hosted else None
    if plan.base.hosted and any(outcomes.to_buy(store, a, retry=means.retry) for a in plan.artefacts):
        hosting.check(plan, todo, budget=means.budget)
    each = _largest(plan, todo, root, hosts)
    shares = gpus.shares(gpus.here(), each.gpus) if hosts.address is None else ()
    store.check_writable()
    store.sweep()
    if means.retry:
        outcomes.set_aside(plan, store)
    # Workers may stand in another folder than this process.
    purse = None if means.budget is None else (store.root / FOLDER / f"{plan.study.name}.budget.json").absolute()
    found = replace(means, trainer=trainer, purse=purse, batch=plan.study.model.batch)
    before = till.by_artefact(store)

    def start(left: int) -> Engine:
        return Guarded(_engine(root, left, found, hosts, shares, each), plan, store)

    waiting = plan.served and means.served is None
    progress, cancelled = _run(plan, store, plan.before_serving if waiting else plan.artefacts, found, start, tell)
    store.sweep()  # what a worker that died has left
    missing = assemble.write(plan, store, out / TABLE)
    from identity_em import report

    path = report.build(out / TABLE, out) if missing < len(plan.readings) else None
    said = [*outcomes.lines(plan, store, progress.made), *([_WAITING] if waiting else [])]
    done = _finished(plan, progress, path, out, said)
    done = replace(done, summary={**done.summary, "cost": _cost(store, progress, before)})
    return replace(done, errors=(*done.errors, _CANCELLED), exit_code=130) if cancelled else done


def _check_budget(means: Means, root: Path) -> None:
    """Raises InputError where several machines may spend and no place counts for all of them."""
    if means.budget is not None and places.bucket(root) is not None:
        raise InputError(
            found="a budget, and a store in a bucket", wanted="a store that counts for all who spend",
            do="give a folder that every machine sees, or leave out --budget", file=places.named(root),
        )  # fmt: skip


def _largest(plan: Plan, todo: Sequence[Checkpoint], root: Path, hosts: Hosts) -> Placement:
    """What each worker has to have: the GPUs of the largest training, which asking takes too, and nodes to train on.

    Raises:
        InputError: Several nodes, and a store that they do not share as a folder.
        MissingEnvironment: Several nodes, and nothing says how to start a training there.
    """
    gpus_of_one = max((checkpoint.placement.gpus for checkpoint in plan.trainings), default=1)
    most = Placement(gpus=gpus_of_one, nodes=max((checkpoint.placement.nodes for checkpoint in todo), default=1))
    if most.nodes > 1 and places.bucket(root) is not None:
        raise InputError(
            found=f"a training on {most.nodes} nodes, and a store in a bucket", wanted="a store on a file system",
            do="give a folder that every machine sees, or say `nodes: 1`", file=places.named(root),
        )  # fmt: skip
    if hosts.address is None:  # Ray starts it itself
        launch.check(most)
    return most


def _engine(root: Path, left: int, means: Means, hosts: Hosts, shares: Sequence[str], each: Placement) -> Engine:
    if hosts.address is None:
        workers = hosts.workers or len(shares) or min(_WORKERS, os.cpu_count() or 1)
        return Local(root, workers=min(workers, left), means=means, gpus=shares)
    from identity_em.engine.ray import Cluster

    return Cluster(root, address=hosts.address, means=means, gpus=each.gpus, nodes=each.nodes, most=left)


def _run(
    plan: Plan,
    store: Store,
    wanted: Sequence[Artefact],
    means: Means,
    start: Callable[[int], Engine],
    tell: Callable[[Progress], None],
) -> tuple[Progress, bool]:
    """The matrix's loop, recorded in the store; whether somebody stopped it."""
    ledger = Ledger(store.root, plan.study.name)

    def told(progress: Progress) -> None:
        ledger.note(progress)
        tell(progress)

    with ledger.running(artefact.key for artefact in plan.artefacts):
        if means.purse is not None and means.budget is not None:
            paid = till.by_artefact(store, held=True)
            already = sum(paid[key] for key in {artefact.key for artefact in plan.artefacts})
            Purse(means.purse).fill(means.budget, already, beside=len(ledger.runners()) > 1)
        progress = run(wanted, store, start, tell=told, stop=ledger.cancelled)
        cancelled = ledger.cancelled()
    ledger.settle(progress)
    store_state.require(store.root)
    return progress, cancelled


def _cost(store: Store, progress: Progress, before: defaultdict[str, float]) -> dict[str, float]:
    """What this run spent, on what it did not finish too."""
    hours = sum(progress.made.values()) / 3600
    after = till.by_artefact(store)
    usd = sum((after[key] - before[key] for key in {*progress.made, *progress.failed}), 0.0)
    return {"worker_hours": round(hours, 4), "usd": round(usd, 4)}


def _finished(plan: Plan, progress: Progress, report: Path | None, out: Path, more: list[str]) -> Finished:
    names = plan.labels()
    alike: dict[str, list[str]] = {}
    for key, done in progress.failed.items():
        alike.setdefault(done.error, []).append(names.get(key, key[:12]))
    failures = [f"{who[0]}{f' and {len(who) - 1} more' if who[1:] else ''}: {error}" for error, who in alike.items()]
    remade = [f"set aside and made again: {line}" for line in progress.remade]
    counts = {
        "made": len(progress.made),
        "reused": len(progress.reused),
        "failed": len(progress.failed),
        "blocked": len(progress.blocked),
    }
    summary = {
        "study": plan.study.name,
        "artefacts": counts,
        "table": str(out / TABLE),
        "report": report and str(report),
    }
    code = max((done.exit_code for done in progress.failed.values()), default=0)
    return Finished(report=report, summary=summary, errors=(*remade, *failures, *more), exit_code=code)
