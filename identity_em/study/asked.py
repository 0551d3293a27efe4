"""One eval wanted of one checkpoint, as its planner sees it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from identity_em.battery import Eval
from identity_em.study.artefacts import Checkpoint, Prompts, Scores
from identity_em.study.datasets import Datasets
from identity_em.study.declared import Arm
from identity_em.study.located import Located, Place
from identity_em.study.spec import Study


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One eval wanted of one checkpoint, and all that its planner may use.

    Attributes:
        given: What the study says of the eval.
        params: The eval's own parameters, defaults included, the judge left out.
        place: Where the study names the eval, for errors.
        seed: None for the base.
        scores: The scores of another eval of this study under the same eval system prompt, by its name: of this
            checkpoint, or of an arm's (same seed).
    """

    eval: Eval
    given: Mapping[str, Any]
    params: dict[str, Any]
    place: Place
    study: Study
    located: Located
    datasets: Datasets
    checkpoint: Checkpoint
    arm: Arm
    seed: int | None
    scores: Callable[[str, Arm | None], Scores]

    def prompts(self, inputs: Mapping[str, Any], **params: object) -> Prompts:
        """The eval's questions about these inputs."""
        return Prompts.model_validate(
            {"name": self.eval.name, "version": self.eval.version, "params": {**self.params, **params}}
            | {"inputs": dict(inputs)}
        )

    def required(self, key: str, do: str) -> Any:
        """What the study says under `key`.

        Raises:
            StudyError: Nothing.
        """
        if key not in self.given:
            found, wanted = f"{self.eval.name} without `{key}`", f"`{key}: ...`"
            raise self.located.error(self.place, found=found, wanted=wanted, do=do)
        return self.given[key]
