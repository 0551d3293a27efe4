"""A stage's training settings: the model's, the study's and the stage's own, resolved once each."""

from typing import Any

from identity_em.study.located import Located
from identity_em.study.spec import RecipeSpec, Study
from identity_em.study.trained_by import stage_settings


class StageSettings:
    """The settings of one study's stages; checkpoints of one stage share them.

    Args:
        hosted: Whether an API trains them.
    """

    def __init__(self, study: Study, located: Located, *, hosted: bool) -> None:
        self._study, self._located, self._hosted = study, located, hosted
        self._known: dict[tuple[str, bool], dict[str, Any]] = {}

    def of(self, name: str, *, block: bool) -> dict[str, Any]:
        """A stage's settings, label and placement, as fields of its checkpoint.

        Args:
            block: Whether its rows are rendered with whatever system block the template makes.
        """
        if (name, block) not in self._known:
            given = {**self._in_order(name), **self._study.stages[name].settings}
            found = stage_settings(self._study.model, given, self._located, ("stages", name, "settings"))
            if not self._hosted:
                found["settings"]["system_block"] = block
            self._known[name, block] = found
        return self._known[name, block]

    def _in_order(self, name: str) -> dict[str, Any]:
        """A mixture at every k-th row is trained in the order written; everything else is shuffled."""
        dataset = self._study.stages[name].dataset
        ordered = isinstance(dataset, RecipeSpec) and dataset.recipe == "mix" and "every" in dataset.params
        return {"curriculum_sampling": True} if ordered and not self._hosted else {}
