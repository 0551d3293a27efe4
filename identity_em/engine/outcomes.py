"""Blocked: what an API refuses as harmful is an outcome, stored like any other, and what needs it says why it lacks."""

from __future__ import annotations

from collections.abc import Container, Sequence

from identity_em.analysis.meta import BlockedMeta
from identity_em.store import Store
from identity_em.study.artefacts import Artefact, BaseModelRef, Checkpoint, Responses
from identity_em.study.declared import arm_name
from identity_em.study.plan import Plan


def blocked(store: Store, artefact: Artefact) -> str:
    """The API's words where it refused this very artefact; "" where it did not, or it is not there."""
    hosted = isinstance(artefact, Checkpoint | Responses) and store.has(artefact) and _base(artefact).hosted
    facts = store.manifest(artefact)["facts"] if hosted else {}
    return str(facts.get("said") or "the API gives no reason") if facts.get("outcome") == "blocked" else ""


def cause(store: Store, artefact: Artefact) -> Artefact | None:
    """What was blocked, of all that an artefact is made from, itself included; the earliest first."""
    seen: set[str] = set()
    stack: list[Artefact] = [artefact]
    found: Artefact | None = None
    while stack:
        one = stack.pop()
        if one.key not in seen:
            seen.add(one.key)
            found = one if blocked(store, one) else found
            stack += one.needs
    return found


def to_buy(store: Store, artefact: Artefact, *, retry: bool) -> bool:
    """Whether a run would ask the API for it: it is not there, nor blocked unless that is to be tried once more."""
    if retry:
        return not store.has(artefact) or bool(blocked(store, artefact))
    return not store.has(artefact) and cause(store, artefact) is None


def set_aside(plan: Plan, store: Store) -> list[Artefact]:
    """Set aside what of a study was blocked, so that it is bought once more; what that was."""
    found = [artefact for artefact in plan.artefacts if blocked(store, artefact)]
    for artefact in found:
        store.set_aside(artefact)
    return found


def told(plan: Plan, store: Store) -> tuple[BlockedMeta, ...]:
    """Every arm and seed of which something is blocked, in the study's order."""
    if not plan.base.hosted:
        return ()
    found: dict[tuple[str, int | None, str], BlockedMeta] = {}
    names = {t.checkpoint.key: arm_name(t.arm) for t in reversed(plan.trained)}
    for trained in plan.trained:
        wanted: Sequence[Artefact] = [r.scores for r in plan.readings if r.trained == trained]
        for artefact in (trained.checkpoint, *wanted):
            why = None if store.has(artefact) and not blocked(store, artefact) else cause(store, artefact)
            if why is not None:
                at, said = _place(store, trained.checkpoint, why, names), blocked(store, why)
                name = (arm_name(trained.arm), trained.seed, at)
                found.setdefault(name, BlockedMeta(arm=trained.arm, seed=trained.seed, at=at, said=said))
    return tuple(found.values())


def lines(plan: Plan, store: Store, made: Container[str]) -> list[str]:
    """What people are told at the end of a run: what is blocked, and second jobs that this run met."""
    found = [
        f"blocked ({one.at}), an outcome: {arm_name(one.arm)}{'' if one.seed is None else f' s{one.seed}'}: {one.said}"
        for one in told(plan, store)
    ]
    names = plan.labels() if plan.base.hosted else {}
    for checkpoint in plan.trainings:
        if checkpoint.base.hosted and checkpoint.key in made:
            name, facts = names[checkpoint.key], store.manifest(checkpoint)["facts"]
            found += [f"{name}: another runner's older job stays, {job} was cancelled" for job in facts["cancelled"]]
            found += [f"{name}: a second job, {job}, had ended and is paid for too" for job in facts["duplicates"]]
    return found


def _place(store: Store, checkpoint: Checkpoint, why: Artefact, names: dict[str, str]) -> str:
    """Where a checkpoint was blocked: at its data, at its job, when it was asked, or by what it is made from."""
    if isinstance(why, Responses) and why.checkpoint == checkpoint:
        return "inference"
    if why == checkpoint:
        code = str(store.manifest(why)["facts"].get("code", ""))
        return "data" if "file" in code or not store.manifest(why)["facts"]["job"] else "job"
    of = why.checkpoint if isinstance(why, Responses) else why
    return f"parent {names.get(of.key, of.key[:12])}"


def _base(artefact: Checkpoint | Responses) -> BaseModelRef:
    return artefact.base if isinstance(artefact, Checkpoint) else artefact.checkpoint.base
