"""From the evals a study names to the scores wanted of each checkpoint."""

from collections.abc import Iterator
from typing import Any

from identity_em import battery
from identity_em.battery import Eval
from identity_em.errors import InputError
from identity_em.interventions import system_prompts, wordings
from identity_em.records import Sampling, SystemPrompt
from identity_em.study.artefacts import Checkpoint, Prompts, Responses, Scores
from identity_em.study.datasets import Datasets
from identity_em.study.declared import Arm
from identity_em.study.eval_inputs import Asked
from identity_em.study.located import Located
from identity_em.study.planners import planner
from identity_em.study.spec import Study

# Room for a sampled answer to a closed question, "The answer is A" and the like.
_READ = 16


class Evals:
    """The evals of one study, checked once, asked of every checkpoint."""

    def __init__(self, study: Study, located: Located, datasets: Datasets) -> None:
        self.study, self.located, self.datasets = study, located, datasets
        self._evals = [self._checked(i, name, given) for i, (name, given) in enumerate(study.eval_params)]

    def of(self, arm: Arm, seed: int | None, variant: str) -> Iterator[Scores]:
        """The scores wanted of one checkpoint under one eval system prompt."""
        for index, found, given in self._evals:
            yield from self._asked(index, found, given, arm, seed, variant)

    def one(self, name: str, arm: Arm, seed: int | None, variant: str) -> Scores:
        """The first scores of the eval called `name`, for an eval that is asked about them.

        Raises:
            StudyError: The study does not ask it.
        """
        for index, found, given in self._evals:
            if found.name == name:
                return next(self._asked(index, found, given, arm, seed, variant))
        wanted = f"the eval {name!r} in the study too"
        raise self.located.error(("evals",), found=f"no {name}", wanted=wanted, do="list it under evals:")

    def _checked(self, index: int, name: str, given: dict[str, Any]) -> tuple[int, Eval, dict[str, Any]]:
        place = ("evals", index, name)
        try:
            found = battery.get(name)
        except InputError as error:
            raise self.located.error(place, found=error.found, wanted=error.wanted, do=error.do) from error
        allowed = {*found.defaults, *planner(name).keys, "sampling", *(("sample",) if found.form == "probe" else ())}
        for key in given:
            if key not in allowed:
                raise self.located.unknown((*place, key), f"parameter of {name}:", key, sorted(allowed))
        return index, found, given

    def _asked(
        self, index: int, found: Eval, given: dict[str, Any], arm: Arm, seed: int | None, variant: str
    ) -> Iterator[Scores]:
        params = {**found.defaults, **{k: v for k, v in given.items() if k in found.defaults}}
        judge = str(params.pop("judge", "") or "")
        asked = Asked(
            eval=found,
            given=given,
            params=params,
            place=("evals", index, found.name),
            study=self.study,
            located=self.located,
            datasets=self.datasets,
            checkpoint=self.datasets.checkpoint(arm, self.study.seeds[0] if seed is None else seed),
            arm=arm,
            seed=seed,
            scores=lambda name, other: self.one(name, arm if other is None else other, seed, variant),
        )
        for prompts in planner(found.name).plan(asked):
            responses = self._responses(found, given, prompts, asked.checkpoint, variant)
            yield Scores(responses=responses, eval=found.name, version=found.version, judge=judge)

    def _responses(
        self, found: Eval, given: dict[str, Any], prompts: Prompts, checkpoint: Checkpoint, variant: str
    ) -> Responses:
        sampling = given.get("sampling") or _sampled(given)
        return Responses(
            checkpoint=checkpoint,
            prompts=prompts,
            system_prompt=self._system_prompt(found, prompts, variant),
            sampling=Sampling(**sampling) if sampling else found.sampling,
            seed=self.study.data_seed,
        )

    def _system_prompt(self, found: Eval, prompts: Prompts, variant: str) -> SystemPrompt | None:
        """None leaves the eval's own protocol as it is, which is what `default` means for an eval."""
        if variant == "default":
            return None
        wording = prompts.params.get("wording")
        task = wordings.get(wording).task_system if wording else found.task_prompt
        try:
            return system_prompts.resolve(variant, task=task, matching=None, wording=wording)
        except InputError as error:
            raise self.located.error(
                ("eval_system_prompts",), found=error.found, wanted=error.wanted, do=error.do
            ) from error


def _sampled(given: dict[str, Any]) -> dict[str, Any] | None:
    """`sample: 500` asks a closed question as published: that many sampled answers an item, half to each order."""
    if "sample" not in given:
        return None
    return {"temperature": 1.0, "max_new_tokens": _READ, "n": max(1, int(given["sample"]) // 2)}
