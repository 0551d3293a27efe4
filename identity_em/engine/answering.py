"""Who answers for a checkpoint: the resident model, or a server that has its adapter; each begun when first needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from identity_em.errors import InputError, ServerFailed
from identity_em.records import Answer
from identity_em.store import Store
from identity_em.study.artefacts import BaseModelRef, Checkpoint, Responses
from identity_em.study.plan import Plan

if TYPE_CHECKING:
    from identity_em.engine.hosting import Hosting
    from identity_em.models.resident import Resident
    from identity_em.models.served import Served


class Answering:
    """One process's models.

    Args:
        url: The server that answers what is planned as `served`.
        hosting: The API that answers for hosted checkpoints.
    """

    def __init__(self, store: Store, url: str | None = None, hosting: Hosting | None = None) -> None:
        self._store, self._url, self._hosting = store, url, hosting
        self._resident: Resident | None = None
        self._served: Served | None = None

    def resident(self, base: BaseModelRef) -> Resident:
        """The resident model of a base, loaded once."""
        from identity_em.models.resident import Resident

        if self._resident is None or self._resident.base != base:
            self._resident = None
            self._resident = Resident(base)
        return self._resident

    def release(self) -> None:
        """Give the GPU's memory to a trainer, which loads the base for itself; on a CPU the model stays warm."""
        if self._resident is not None and self._resident.device.type == "cuda":
            from identity_em.models.loading import release_memory

            self._resident = None
            release_memory()

    def of(self, responses: Responses, chain: Sequence[Path]) -> Resident | Served:
        """What answers these questions, ready to answer as their checkpoint.

        Raises:
            InputError: There is no server, or it lacks the checkpoint.
            Blocked: An API refuses the checkpoint as harmful.
            ServerFailed: It does not answer.
        """
        checkpoint = responses.checkpoint
        if checkpoint.base.hosted and self._hosting is not None:
            return self._hosting.of(responses, journal(self._store, responses))
        if responses.serving == "resident":
            model = self.resident(checkpoint.base)
            model.use(chain, checkpoint.chain)
            return model
        server = self._server(checkpoint.base)
        if server.endpoint.down:
            raise ServerFailed(server.endpoint.down)
        use(server, checkpoint, journal(self._store, responses))
        return server

    def facts(self, responses: Responses, answers: Sequence[Answer]) -> dict[str, Any]:
        """How a server answered, for the manifest; nothing for the resident model."""
        if responses.checkpoint.base.hosted and self._hosting is not None:
            return self._hosting.facts(responses, answers)
        if responses.serving == "resident" or self._served is None:
            return {}
        hidden = sum(any(answer.hidden) for answer in answers)
        return {"served": {"server": self._served.endpoint.version(), "hidden": hidden}}

    def _server(self, base: BaseModelRef) -> Served:
        from identity_em.models.endpoint import Endpoint
        from identity_em.models.served import Served

        if self._url is None:
            raise InputError(found="no server", wanted="one that answers", do="give --served URL")
        if self._served is None or self._served.base != base:
            if self._served is not None:
                self._served.endpoint.close()
            self._served = Served(Endpoint(self._url), base)
        return self._served


def journal(store: Store, responses: Responses) -> Path:
    """Where a server's answers are kept until the artefact is whole."""
    return store.root / "partial" / f"{responses.key}.jsonl"


def use(server: Served, checkpoint: Checkpoint, kept: Path | None = None) -> None:
    """Have a server answer as a checkpoint, whose adapter must lie on the checkpoint's own base.

    Raises:
        InputError: It has no such model, or has it on another base.
    """
    from identity_em.models.served import served_name

    base = next((stage.parent for stage in checkpoint.lineage if stage.parent), None)
    server.use(served_name(checkpoint), parent=None if base is None else served_name(base), journal=kept)


def check(plan: Plan, store: Store, url: str) -> None:
    """Every checkpoint that a server is still to answer for is trained, and is there.

    Raises:
        InputError: The first that is not.
        ServerFailed: The server does not answer.
    """
    wanted = [a for a in plan.artefacts if isinstance(a, Responses) and a.serving == "served" and not store.has(a)]
    checkpoints = {a.checkpoint.key: a.checkpoint for a in wanted}
    if not checkpoints:
        return
    untrained = [c for c in plan.trainings if not store.has(c)]
    if untrained:
        raise InputError(
            found=f"{len(untrained)} of {len(plan.trainings)} checkpoints not trained yet",
            wanted="all of them trained before they are served",
            do="put `serving: served` under model in the study and run it without --served, then `identity-em serve`",
        )
    from identity_em.models.endpoint import Endpoint
    from identity_em.models.served import Served

    endpoint = Endpoint(url)
    try:
        server = Served(endpoint)
        for checkpoint in checkpoints.values():
            use(server, checkpoint)
    finally:
        endpoint.close()
