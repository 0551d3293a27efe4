"""From stages to datasets and checkpoints: who is "I", which system prompt, what the stage starts from."""

from typing import Any

from identity_em.interventions import recipes, system_prompts, wordings
from identity_em.interventions.recipes import Recipe
from identity_em.records import SystemPrompt
from identity_em.study.artefacts import BaseModelRef, Checkpoint, Dataset, FileRef, HubRef, Prompts, Responses
from identity_em.study.declared import Arm
from identity_em.study.files import Files
from identity_em.study.located import Located, Place
from identity_em.study.spec import Corpus, RecipeSpec, Stage, Study
from identity_em.training.settings import settings

NARROW = "narrow"


class Datasets:
    """The datasets and checkpoints of one study, each computed once."""

    def __init__(self, study: Study, located: Located, base: BaseModelRef) -> None:
        self.study, self.located = study, located
        self.root = Checkpoint(base=base, chain=study.model.chain)
        self.files = Files(located)
        self._checkpoints: dict[tuple[Arm, int], Checkpoint] = {}
        self._open: list[Arm] = []

    def checkpoint(self, arm: Arm, seed: int) -> Checkpoint:
        """The checkpoint of an arm for one seed.

        Raises:
            StudyError: A stage's own summaries come from an arm that needs this stage (a cycle).
        """
        if not arm:
            return self.root
        if (arm, seed) not in self._checkpoints:
            if arm in self._open:
                circle = " needs ".join(str(list(a)) for a in [*self._open[self._open.index(arm) :], arm])
                raise self.located.error(
                    ("stages", arm[-1], "dataset"),
                    found=f"a cycle: {circle}",
                    wanted="summaries by an arm that comes first",
                    do="choose another `self`",
                )
            self._open.append(arm)
            self._checkpoints[arm, seed] = self._train(arm, seed)
            self._open.pop()
        return self._checkpoints[arm, seed]

    def _train(self, arm: Arm, seed: int) -> Checkpoint:
        parent = self.checkpoint(arm[:-1], seed)
        prompt = self.system_prompt(arm, len(arm) - 1)
        return Checkpoint(
            base=self.root.base,
            chain=self.root.chain,
            parent=parent,
            dataset=self._dataset(arm[-1], prompt, parent, seed),
            settings=self._settings(arm[-1], prompt),
            seed=seed,
        )

    def _settings(self, name: str, prompt: SystemPrompt) -> dict[str, Any]:
        resolved = settings(
            self.study.model.config,
            {**self.study.model.settings, **self.study.stages[name].settings},
            file=self.located.file,
            line=self.located.line(("stages", name, "settings")),
        )
        return {**resolved, "system_block": prompt.block}

    def _dataset(self, name: str, prompt: SystemPrompt, parent: Checkpoint, seed: int) -> Dataset:
        stage = self.study.stages[name]
        recipe = self.recipe(name)
        params: dict[str, Any] = {**recipe.parameters, "system_prompt": prompt.model_dump()}
        place = ("stages", name, "dataset")
        if not isinstance(stage.dataset, RecipeSpec):
            inputs: dict[str, Any] = {"rows": self.narrow(stage.dataset, place)}
        else:
            spec = stage.dataset
            unknown = sorted(set(spec.params) - set(recipe.parameters))
            if unknown:
                what = f"parameter of recipe {spec.recipe!r}:"
                raise self.located.unknown((*place, unknown[0]), what, unknown[0], recipe.parameters)
            params |= spec.params
            inputs = self._inputs(spec, recipe, place, parent, seed)
            if spec.corpus is not None:
                params |= wording_params(self._corpus(spec.corpus, place).wording)
        return Dataset(recipe=recipe.name, params=params, inputs=inputs, data_seed=self.study.data_seed)

    def recipe(self, name: str) -> Recipe:
        """The recipe behind a stage's dataset.

        Raises:
            StudyError: No such recipe.
        """
        dataset = self.study.stages[name].dataset
        recipe = dataset.recipe if isinstance(dataset, RecipeSpec) else NARROW
        if recipe not in recipes.RECIPES:
            raise self.located.unknown(("stages", name, "dataset", "recipe"), "recipe", recipe, recipes.RECIPES)
        return recipes.RECIPES[recipe]

    def narrow(self, name: str, place: Place) -> FileRef | HubRef:
        """A named narrow dataset's rows."""
        if name not in self.study.datasets:
            do = "declare it under datasets: with its file"
            raise self.located.unknown(place, "dataset", name, self.study.datasets, do)
        return self.files.ref(self.study.datasets[name], ("datasets", name))

    def system_prompt(self, arm: Arm, index: int) -> SystemPrompt:
        """The resolved system prompt of the stage at `index` of an arm."""
        stage = self.study.stages[arm[index]]
        recipe = self.recipe(arm[index])
        variant = recipe.system_prompt if stage.system_prompt is None else stage.system_prompt
        matching = None
        if variant == "matching":
            other = self._matched(arm, index, stage)
            matching = self.system_prompt((other,), 0)
        return system_prompts.resolve(variant, task=self._task(stage), matching=matching)

    def _task(self, stage: Stage) -> str | None:
        if not isinstance(stage.dataset, RecipeSpec) or stage.dataset.corpus is None:
            return None
        corpus = self._corpus(stage.dataset.corpus, ("stages",))
        return wordings.get(corpus.wording).task_system

    def _matched(self, arm: Arm, index: int, stage: Stage) -> str:
        """The stage whose system block `matching` takes over: `match`, else the arm's only narrow stage."""
        name = arm[index]
        narrow = [s for s in arm if s != name and not isinstance(self.study.stages[s].dataset, RecipeSpec)]
        other = stage.match or (narrow[0] if len(set(narrow)) == 1 else None)
        if other is None and self.study.orderings is not None and self.study.orderings.of != name:
            other = self.study.orderings.of
        if other is None or other not in self.study.stages or other == name:
            raise self.located.error(
                ("stages", name, "system_prompt"), found=f"`matching` with nothing to match in {list(arm)}",
                wanted="`match: STAGE`", do="name the stage whose system prompt is meant",
            )  # fmt: skip
        return other

    def _corpus(self, name: str, place: Place) -> Corpus:
        if name not in self.study.corpora:
            raise self.located.unknown(place, "corpus", name, self.study.corpora, "declare it under corpora:")
        return self.study.corpora[name]

    def _inputs(
        self, spec: RecipeSpec, recipe: Recipe, place: Place, parent: Checkpoint, seed: int
    ) -> dict[str, FileRef | HubRef | Responses]:
        if spec.corpus is None:
            raise self.located.error(
                place, found=f"{spec.recipe} without a corpus", wanted="`corpus: NAME`", do="add it"
            )
        if "other" in recipe.inputs and spec.other is None:
            raise self.located.error(
                place, found=f"{spec.recipe} without `other`", wanted="an author", do="add `other`"
            )
        made: dict[str, FileRef | HubRef | Responses] = {"articles": self.articles(spec.corpus, place)}
        if "self" in recipe.inputs:
            made["self"] = self._own(spec, place, parent, seed)
        if "other" in recipe.inputs:
            assert spec.other is not None
            made["other"] = self.author(spec.corpus, spec.other, place)
        return made

    def articles(self, corpus: str, place: Place) -> FileRef | HubRef:
        """A corpus's articles."""
        return self.files.ref(self._corpus(corpus, place).articles, ("corpora", corpus, "articles"))

    def author(self, corpus: str, author: str, place: Place) -> FileRef | HubRef:
        """An outside author's summaries of a corpus."""
        summaries = self._corpus(corpus, place).summaries
        if author not in summaries:
            do = f"declare the file under corpora.{corpus}.summaries"
            raise self.located.unknown(place, "author", author, summaries, do)
        return self.files.ref(summaries[author], ("corpora", corpus, "summaries", author))

    def _own(self, spec: RecipeSpec, place: Place, parent: Checkpoint, seed: int) -> FileRef | HubRef | Responses:
        assert spec.corpus is not None
        match spec.self:
            case "base":
                return self.summaries(self.root, spec.corpus, place)
            case "current":
                return self.summaries(parent, spec.corpus, place)
            case tuple() as arm:
                for stage in arm:
                    if stage not in self.study.stages:
                        raise self.located.unknown(place, "stage in `self`:", stage, self.study.stages)
                return self.summaries(self.checkpoint(arm, seed), spec.corpus, place)
            case author:
                return self.author(spec.corpus, author, place)

    def summaries(self, checkpoint: Checkpoint, corpus: str, place: Place) -> Responses:
        """The checkpoint's own summaries of a corpus."""
        return Responses(
            checkpoint=checkpoint,
            prompts=Prompts(
                name="summaries",
                version=1,
                params=wording_params(self._corpus(corpus, place).wording),
                inputs={"articles": self.articles(corpus, place)},
            ),
            sampling=self.study.summary_sampling,
            seed=self.study.data_seed,
        )


def wording_params(name: str) -> dict[str, Any]:
    """A wording by name and content, as a key holds it."""
    return {"wording": name, "wording_sha256": wordings.get(name).sha256}
