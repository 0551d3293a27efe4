"""From the evals a study names to the scores wanted of each checkpoint."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from identity_em import battery
from identity_em.battery import Eval
from identity_em.interventions import criteria, system_prompts, wordings
from identity_em.records import Sampling, SystemPrompt
from identity_em.study.artefacts import Prompts, Responses, Scores
from identity_em.study.asked import Asked
from identity_em.study.datasets import Datasets
from identity_em.study.declared import Arm
from identity_em.study.eval_inputs import items
from identity_em.study.located import Located, Place
from identity_em.study.planners import planner
from identity_em.study.prompts import of_training
from identity_em.study.spec import Study
from identity_em.tasks import judges
from identity_em.values import MAPPING, SAMPLE

# Eval system prompts that differ from arm to arm: the one its narrow stage was trained under, and that in other words.
TRAINING, REWORDED = "training", "training_paraphrase"

# Room for a sampled answer to a closed question, "The answer is A" and the like.
_READ = 16


class Evals:
    """The evals of one study, checked once, asked of every checkpoint."""

    def __init__(self, study: Study, located: Located, datasets: Datasets) -> None:
        self.study, self.located, self.datasets = study, located, datasets
        self._items: dict[int, tuple[Prompts, ...]] = {}
        self._evals = [self._checked(i, name, given) for i, (name, given) in enumerate(study.eval_params)]

    def of(self, arm: Arm, seed: int | None, variant: str) -> Iterator[Scores]:
        """The scores wanted of one checkpoint under one eval system prompt.

        Raises:
            StudyError: Two entries would stand under one name and version in the table, and be pooled there.
        """
        there: dict[tuple[object, ...], int] = {}
        for index, found, given in self._evals:
            for scores in self._asked(index, found, given, arm, seed, variant):
                params = scores.responses.prompts.params
                label = found.label(scores.responses.prompts)
                if there.setdefault((found.name, label, scores.judge, params.get("author")), index) != index:
                    raise self.located.error(
                        ("evals", index), found=f"{found.name} (version {label}) twice", wanted="each version once",
                        do="ask other items, or make one entry of the two",
                    )  # fmt: skip
                yield scores

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
        with self.located.at(place):
            found = battery.get(name)
        allowed = {**found.values, **planner(name).keys, "sampling": MAPPING}
        allowed |= {"sample": SAMPLE} if found.form == "probe" else {}
        for key, value in given.items():
            if key not in allowed:
                raise self.located.unknown((*place, key), f"parameter of {name}:", key, sorted(allowed))
            if not allowed[key].fits(value):
                raise self.located.error(
                    (*place, key), found=f"{key}: {value}", wanted=allowed[key].words, do="mend that value"
                )
        if {"sample", "sampling"} <= given.keys():
            raise self.located.error(place, found="sample and sampling", wanted="one of them", do="leave one out")
        return index, found, given

    def _asked(
        self, index: int, found: Eval, given: dict[str, Any], arm: Arm, seed: int | None, variant: str
    ) -> Iterator[Scores]:
        params = {**found.defaults, **{k: v for k, v in given.items() if k in found.defaults}}
        named = self._judges(found, params.pop("judge", None), ("evals", index, found.name))
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
        for prompts in self._planned(index, asked):
            responses = self._responses(found, prompts, asked, variant)
            for judge in named:
                told = {rubric.name: rubric.digest for rubric in found.rubrics}
                yield Scores(responses=responses, eval=found.name, version=found.version, judge=judge, rubrics=told)

    def _planned(self, index: int, asked: Asked) -> Iterable[Prompts]:
        """What the eval asks of a checkpoint; a file of items is one question set for all of them."""
        plan = planner(asked.eval.name).plan
        if plan is not items:
            return plan(asked)
        if index not in self._items:
            self._items[index] = tuple(plan(asked))
        return self._items[index]

    def _judges(self, found: Eval, given: Any, place: Place) -> list[str]:
        """Who judges: one name or several; nobody where nothing is to be judged."""
        if not found.rubrics:
            return [""]
        names = given if isinstance(given, list | tuple) else [given or ""]
        for name in names:
            with self.located.at((*place, "judge")):
                judges.check(str(name))
        return [str(name) for name in dict.fromkeys(names)]

    def _responses(self, found: Eval, prompts: Prompts, asked: Asked, variant: str) -> Responses:
        return Responses(
            checkpoint=asked.checkpoint,
            prompts=prompts,
            system_prompt=self._system_prompt(found, prompts, asked.arm, variant),
            sampling=self._sampling(asked) or found.sampling,
            seed=self.study.data_seed,
        )

    def _sampling(self, asked: Asked) -> Sampling | None:
        given = asked.given.get("sampling") or _sampled(asked.given)
        return self.located.valid(Sampling, given, (*asked.place, "sampling")) if given else None

    def _system_prompt(self, found: Eval, prompts: Prompts, arm: Arm, variant: str) -> SystemPrompt | None:
        """None leaves the eval's own protocol as it is, which is what `default` means for an eval."""
        if variant == "default":
            return None
        wording = prompts.params.get("wording")
        task = _task(found, prompts)
        with self.located.at(("eval_system_prompts",)):
            if variant in (TRAINING, REWORDED):
                trained = of_training(self.study, self.located, arm, self.datasets.recipe)
                return (
                    trained if variant == TRAINING else system_prompts.reworded(trained, self.datasets.root.base.name)
                )
            return system_prompts.resolve(variant, task=task, matching=None, wording=wording)


def _sampled(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """`sample: 500` asks a closed question as published: that many sampled answers an item, half to each order."""
    if "sample" not in given:
        return None
    return {"temperature": 1.0, "max_new_tokens": _READ, "n": given["sample"] // 2}


def _task(found: Eval, prompts: Prompts) -> str | None:
    """The system prompt of the eval's protocol."""
    if "wording" not in prompts.params:
        return found.task_prompt
    wording = wordings.get(prompts.params["wording"])
    single = prompts.params.get("format") == "individual"
    return criteria.individual(wording).system if single else wording.task_system
