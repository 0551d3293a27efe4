"""How far a study is, read from the store alone: from any terminal, on any machine that sees it."""

from dataclasses import dataclass
from typing import Any

from identity_em.engine import outcomes
from identity_em.engine.ledger import Ledger
from identity_em.store import Store
from identity_em.study.plan import Plan


@dataclass(frozen=True)
class SoFar:
    """How far a study is.

    Attributes:
        wanted: How many artefacts it wants.
        there: Keys of those that are there.
        making: Who is making what, by the artefact's name: host, pid and since when (Unix seconds).
        failed: Reasons by key, of what the last run could not make and nobody has made since.
        blocked: The key of what it waits for, by key.
        refused: An API's words, by key of what it blocked as harmful; also of what is there.
        runners: Who runs the study: host, pid and since when.
        names: For people, by key.
    """

    wanted: int
    there: set[str]
    making: dict[str, dict[str, Any]]
    failed: dict[str, str]
    blocked: dict[str, str]
    refused: dict[str, str]
    runners: list[dict[str, Any]]
    names: dict[str, str]

    def line(self, store: str) -> str:
        """All of it in a line."""
        runs = f"{len(self.runners)} run{'' if len(self.runners) == 1 else 's'} in progress"
        refused = f", {len(self.refused)} of them refused by an API" if self.refused else ""
        return (
            f"{len(self.there)} of {self.wanted} artefacts are in {store}{refused}; {len(self.making)} are being made, "
            f"{len(self.failed)} failed, {len(self.blocked)} blocked; {runs}"
        )

    def lost_lines(self) -> list[str]:
        """A line for each artefact that failed or was refused, and for those that wait for it."""
        waiting: dict[str, int] = {}
        for parent in self.blocked.values():
            waiting[parent] = waiting.get(parent, 0) + 1
        ended = [("failed", self.failed), ("blocked", self.refused)]
        lost = [(how, key, reason) for how, found in ended for key, reason in found.items()]
        more = {key: f" ({count} wait for it)" for key, count in waiting.items()}
        return [f"{how}: {self.names[key]}{more.get(key, '')}: {reason}" for how, key, reason in lost]

    @property
    def lost(self) -> set[str]:
        """Keys of what failed or was refused, and of what waits for it."""
        return {*self.failed, *self.blocked, *self.refused}

    def as_json(self) -> dict[str, Any]:
        """Fit for JSON."""
        named = {self.names[key]: reason for key, reason in self.failed.items()}
        blocked = {self.names[key]: self.names.get(parent, parent) for key, parent in self.blocked.items()}
        return {
            "wanted": self.wanted, "there": len(self.there), "being_made": self.making, "failed": named,
            "refused": {self.names[key]: said for key, said in self.refused.items()}, "blocked": blocked,
            "runs": self.runners,
        }  # fmt: skip


def look(plan: Plan, store: Store) -> SoFar:
    """How far the study is now; nothing is changed."""
    ledger, names = Ledger(store.root, plan.study.name), plan.labels()
    there = {a.key for a in plan.artefacts if store.has(a)}
    wanted = {a.key for a in plan.artefacts}
    locked = store.locked() - there
    making = {
        f"{names[a.key]} ({a.kind})": store.lock(a).owner()
        for a in plan.artefacts
        if a.key in locked and store.lock(a).held()
    }
    failed, blocked = ({key: why for key, why in found.items() if key in wanted - there} for found in ledger.failures())
    refused = {a.key: said for a in plan.artefacts if (said := outcomes.blocked(store, a))}
    return SoFar(
        wanted=len(wanted), there=there, making=making, failed=failed, blocked=blocked, refused=refused,
        runners=ledger.runners(), names=names,
    )  # fmt: skip
