"""From stages to datasets and checkpoints: who is "I", which system prompt, what the stage starts from."""

from typing import Any

from identity_em.interventions import recipes, wordings
from identity_em.interventions.recipes import Recipe
from identity_em.records import SystemPrompt
from identity_em.study import caps, prompts, sources, writers
from identity_em.study.artefacts import (
    BaseModelRef,
    Checkpoint,
    Dataset,
    FileRef,
    HubRef,
    Input,
    Part,
    Prompts,
    Responses,
)
from identity_em.study.declared import Arm, Writer
from identity_em.study.files import Files
from identity_em.study.located import Located, Place
from identity_em.study.spec import Corpus, NamedSpec, RecipeSpec, Study
from identity_em.study.stage_settings import StageSettings

NARROW = "narrow"


class Datasets:
    """The datasets and checkpoints of one study, each computed once."""

    def __init__(self, study: Study, located: Located, base: BaseModelRef) -> None:
        self.study, self.located = study, located
        self.root = Checkpoint(base=base, chain=study.model.chain)
        self.files = Files(located)
        self._checkpoints: dict[tuple[Arm, int], Checkpoint] = {}
        self._same: dict[tuple[str, SystemPrompt], Dataset] = {}
        self._settings = StageSettings(study, located, hosted=base.hosted)
        self._open: list[Arm] = []
        self.caps: dict[str, int] = {}
        self.caps = caps.caps(study, self._uncut)
        self._same.clear()  # those were uncut

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
        found = self._settings.of(arm[-1], block=prompt.block)
        return Checkpoint.model_construct(  # ours throughout: nothing to validate, and settings are shared
            base=self.root.base,
            chain=self.root.chain,
            parent=parent,
            dataset=self._dataset(arm[-1], prompt, parent, seed),
            seed=seed,
            **found,
        )

    def _dataset(self, name: str, prompt: SystemPrompt, parent: Checkpoint, seed: int) -> Dataset:
        if self._follows(name):
            return self._built(name, prompt, parent, seed)
        if (name, prompt) not in self._same:
            self._same[name, prompt] = self._built(name, prompt, parent, seed)
        return self._same[name, prompt]

    def _follows(self, name: str) -> bool:
        """Whether a stage's rows may differ with the arm and seed that it is trained in."""
        spec = self.study.stages[name].dataset
        own = spec.self if isinstance(spec, RecipeSpec) else "base"
        return own == "current" or isinstance(own, tuple) or self.recipe(name).name == "mix"

    def _built(self, name: str, prompt: SystemPrompt, parent: Checkpoint, seed: int) -> Dataset:
        stage, recipe = self.study.stages[name], self.recipe(name)
        params: dict[str, Any] = {**recipe.parameters, "system_prompt": prompt.model_dump()}
        place = ("stages", name, "dataset")
        if isinstance(stage.dataset, RecipeSpec):
            spec = stage.dataset
            if unknown := sorted(set(spec.params) - set(recipe.known)):
                what = f"parameter of recipe {spec.recipe!r}:"
                raise self.located.unknown((*place, unknown[0]), what, unknown[0], recipe.known)
            self.located.valid(recipe.params, spec.params, place)
            params |= spec.params
            inputs, read = self._inputs(name, spec, recipe, parent, seed)
        else:
            inputs, read = self._rows(stage.dataset, place)
        if recipe.name == "mix" and stage.system_prompt is None:
            params["system_prompt"] = None
        params |= {caps.cut(recipe.name): self.caps[name]} if name in self.caps else {}
        return Dataset(recipe=recipe.name, params=params | read, inputs=inputs, data_seed=self.study.data_seed)

    def _uncut(self, name: str) -> Dataset | None:
        """A stage's dataset as it would be built; None where it needs summaries by a checkpoint that is trained."""
        spec = self.study.stages[name].dataset
        own = spec.self if isinstance(spec, RecipeSpec) and "self" in self.recipe(name).inputs else ""
        if isinstance(own, tuple) or own in ("base", "current"):
            return None
        return self._dataset(name, self.system_prompt((name,), 0), self.root, 0)

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

    def _rows(self, name: str, place: Place) -> tuple[dict[str, Input], dict[str, Any]]:
        """A named dataset's rows, and the parameters that are needed to read them."""
        if name not in self.study.datasets:
            do = "declare it under datasets: with its file"
            raise self.located.unknown(place, "dataset", name, self.study.datasets, do)
        source, where = self.study.datasets[name], ("datasets", name)
        if isinstance(source, NamedSpec):
            named = sources.resolve(source, self.files, self.located, where)
            return {"rows": named.ref}, dict(named.params)
        return {"rows": self.files.ref(source, where)}, {}

    def system_prompt(self, arm: Arm, index: int) -> SystemPrompt:
        """The resolved system prompt of the stage at `index` of an arm."""
        return prompts.of_stage(self.study, self.located, arm, index, self.recipe)

    def _corpus(self, name: str, place: Place) -> Corpus:
        if name not in self.study.corpora:
            raise self.located.unknown(place, "corpus", name, self.study.corpora, "declare it under corpora:")
        return self.study.corpora[name]

    def _inputs(
        self, name: str, spec: RecipeSpec, recipe: Recipe, parent: Checkpoint, seed: int
    ) -> tuple[dict[str, Input], dict[str, Any]]:
        """What the recipe is made from, and the parameters that follow from it."""
        place = ("stages", name, "dataset")
        match recipe.inputs:
            case ():
                return {}, {}
            case ("rows",):
                return self._rows(self._named(spec, "of", place), place)
            case ("main", "with"):
                return self._mixed(name, spec, place, parent, seed), {}
        corpus = self._named(spec, "corpus", place)
        made: dict[str, Input] = {"articles": self.articles(corpus, place)}
        other = self._named(spec, "other", place)
        made["self"] = self._own(spec, place, parent, seed)
        made["other"] = self.author(corpus, other, place)
        return made, wordings.keyed(self._corpus(corpus, place).wording)

    def _mixed(self, name: str, spec: RecipeSpec, place: Place, parent: Checkpoint, seed: int) -> dict[str, Input]:
        """The rows of two stages, each under its own system prompt."""
        found: dict[str, Input] = {}
        blocks: set[bool] = set()
        for role, field in (("main", "of"), ("with", "with_")):
            stage = self._named(spec, field, place)
            if stage not in self.study.stages or self.recipe(stage).name == "mix" or stage == name:
                plain = [s for s in self.study.stages if self.recipe(s).name != "mix"]
                raise self.located.unknown(place, f"stage in `{field.rstrip('_')}`:", stage, plain)
            prompt = self.system_prompt((stage,), 0)
            blocks.add(prompt.block)
            found[role] = self._dataset(stage, prompt, parent, seed)
        if len(blocks) > 1:
            raise self.located.error(
                place, found="a mix of rows with and without a system block", wanted="one chat template a stage",
                do="give both stages `system_prompt: none`, or neither",
            )  # fmt: skip
        return found

    def _named(self, spec: RecipeSpec, field: str, place: Place) -> str:
        """A field that the recipe cannot do without."""
        value = getattr(spec, field)
        if value is None:
            what = f"`{field.rstrip('_')}`"
            raise self.located.error(place, found=f"{spec.recipe} without {what}", wanted=f"{what}: NAME", do="add it")
        return str(value)

    def articles(self, corpus: str, place: Place) -> FileRef | HubRef | Part:
        """A corpus's articles, or the part of them that the corpus is."""
        found, where = self._corpus(corpus, place), ("corpora", corpus, "articles")
        if isinstance(found.articles, NamedSpec):
            named = sources.resolve(found.articles, self.files, self.located, where)
            return sources.part(named, found.part, found.eval_share)
        return sources.part(self.files.ref(found.articles, where), found.part, found.eval_share)

    def author(self, corpus: str, author: str, place: Place) -> FileRef | HubRef | Responses:
        """An outside author's summaries of a corpus: a file, or what a model behind a server answers."""
        summaries = self._corpus(corpus, place).summaries
        if author not in summaries:
            do = f"declare the file under corpora.{corpus}.summaries"
            raise self.located.unknown(place, "author", author, summaries, do)
        source, place = summaries[author], ("corpora", corpus, "summaries", author)
        if isinstance(source, Writer):
            return self.summaries(writers.checkpoint(source), corpus, place)
        if isinstance(source, NamedSpec):
            raise self.located.error(place, found="a named source", wanted="a file of summaries", do="use `file:`")
        return self.files.ref(source, place)

    def _own(self, spec: RecipeSpec, place: Place, parent: Checkpoint, seed: int) -> FileRef | HubRef | Responses:
        assert spec.corpus is not None
        if spec.recipe == "other" and (isinstance(spec.self, tuple) or spec.self in ("base", "current")):
            raise self.located.error(
                place, found=f"other with `self: {spec.self}`", wanted="two outside authors",
                do="name one of the corpus's authors as `self` too",
            )  # fmt: skip
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
                params=wordings.keyed(self._corpus(corpus, place).wording),
                inputs={"articles": self.articles(corpus, place)},
            ),
            sampling=self.study.summary_sampling,
            seed=self.study.data_seed,
        )
