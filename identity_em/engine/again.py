"""What was made and says that it failed, or was refused: set aside on request, so that it is tried once more."""

from identity_em.store import Store
from identity_em.study.artefacts import Artefact
from identity_em.study.plan import Plan

_ENDED_BADLY = frozenset({"failed", "blocked"})


def set_aside(plan: Plan, store: Store) -> list[Artefact]:
    """Set aside every artefact of the study whose outcome is failed or blocked; those that were."""
    found = [a for a in plan.artefacts if store.has(a) and _outcome(store, a) in _ENDED_BADLY]
    for artefact in found:
        store.set_aside(artefact)
    return found


def _outcome(store: Store, artefact: Artefact) -> str:
    facts = store.manifest(artefact).get("facts", {})
    return str(facts.get("outcome", ""))
