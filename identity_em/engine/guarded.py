"""An engine that looks new training rows through for leaks before anything is trained on them.

Preflight does so for every stage whose rows come from files. Rows with summaries that a checkpoint has yet to write
exist only once they are made; they are looked through then, and a leak fails the dataset and all that needs it.
"""

from dataclasses import replace
from functools import cached_property

from identity_em.engine import auditing
from identity_em.engine.local import Done
from identity_em.engine.run import Engine
from identity_em.errors import DamagedArtefact, DataError
from identity_em.interventions import direct
from identity_em.store import Store
from identity_em.study.artefacts import Artefact, Dataset
from identity_em.study.plan import Plan


class Guarded:
    """The engine it is given, but a dataset that holds eval items, or cannot be read, ends as failed."""

    def __init__(self, engine: Engine, plan: Plan, store: Store) -> None:
        self._engine, self._plan, self._store = engine, plan, store

    @property
    def idle(self) -> list[str | None]:
        """As the engine's own."""
        return self._engine.idle

    def submit(self, artefact: Artefact, near: str | None = None) -> None:
        """As the engine's own."""
        self._engine.submit(artefact, near)

    def wait(self, timeout: float) -> list[Done]:
        """What ended within `timeout` seconds, datasets looked through."""
        return [self._looked(done) for done in self._engine.wait(timeout)]

    def close(self) -> None:
        """As the engine's own."""
        self._engine.close()

    @cached_property
    def _items(self) -> auditing.Items:
        return {} if self._plan.study.allow_leak is not None else auditing.study_items(self._plan)

    @cached_property
    def _stages(self) -> dict[str, str]:
        """Names of the stages whose rows preflight could not see, by their datasets' keys."""
        found = auditing.datasets(self._plan)
        return {key: name for key, (name, dataset) in found.items() if direct.inputs(dataset) is None}

    def _looked(self, done: Done) -> Done:
        dataset = done.artefact
        if not isinstance(dataset, Dataset) or done.outcome not in ("made", "reused"):
            return done
        if dataset.key not in self._stages:
            return done
        try:
            rows = direct.stored(self._store.open(dataset))
            auditing.refuse_rows(self._stages[dataset.key], dataset, rows, self._items)
        except (DataError, DamagedArtefact) as error:
            return replace(done, outcome="failed", error=str(error), exit_code=error.exit_code)
        return done
