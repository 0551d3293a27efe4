"""A stage's system prompt: its variant, resolved against its recipe, its wording and the stage it matches."""

from collections.abc import Callable, Mapping

from identity_em.interventions import recipes, system_prompts
from identity_em.interventions.recipes import Recipe
from identity_em.records import SystemPrompt
from identity_em.study.declared import Arm
from identity_em.study.located import Located
from identity_em.study.spec import Corpus, RecipeSpec, Stage, Study

MEASURED = "length_matched"


def of_stage(study: Study, located: Located, arm: Arm, index: int, recipe: Callable[[str], Recipe]) -> SystemPrompt:
    """The resolved system prompt of the stage at `index` of an arm.

    Raises:
        StudyError: It cannot be resolved.
    """
    name = arm[index]
    stage = study.stages[name]
    made = recipe(name)
    spec = stage.dataset if isinstance(stage.dataset, RecipeSpec) else None
    if made.name == "mix" and stage.system_prompt is None and spec and spec.of in study.stages:
        return of_stage(study, located, (spec.of,), 0, recipe)
    variant = made.system_prompt if stage.system_prompt is None else stage.system_prompt
    matching = None
    if variant == "matching" or (variant == MEASURED and stage.match is not None):
        matching = of_stage(study, located, (_matched(study, located, arm, index),), 0, recipe)
    wording = _wording(spec, study.corpora)
    task = recipes.task_system(made.name, spec.params, wording) if spec and wording else None
    with located.at(("stages", name, "system_prompt")):
        if variant == "paraphrase" and wording is None:  # of what the base's own template says: no other base's name
            return system_prompts.reworded(SystemPrompt(), study.model.base)
        return system_prompts.resolve(variant, task=task, matching=matching, wording=wording)


def of_training(study: Study, located: Located, arm: Arm, recipe: Callable[[str], Recipe]) -> SystemPrompt:
    """The system prompt that an arm's narrow stage was trained under, so that it is asked in its training context.

    An arm without a narrow stage, the base among them, is asked under that of the study's own: the one that
    `orderings` is about, else the first.

    Raises:
        StudyError: The study has no narrow stage.
    """
    first = (study.orderings.of,) if study.orderings else ()
    inside = [name for name in (*first, *arm) if name in arm and _narrow(study.stages[name])]
    anywhere = [name for name in (*first, *study.stages) if _narrow(study.stages[name])]
    if not anywhere:
        raise located.error(
            ("eval_system_prompts",), found="`training` in a study without a narrow stage",
            wanted="a stage on a narrow dataset", do="name a system prompt instead",
        )  # fmt: skip
    return of_stage(study, located, ((inside or anywhere)[0],), 0, recipe)


def _wording(spec: RecipeSpec | None, corpora: Mapping[str, Corpus]) -> str | None:
    """The wording of the stage's task; None for a stage without one, or whose corpus is named wrongly (said later)."""
    corpus = corpora.get(spec.corpus) if spec is not None and spec.corpus is not None else None
    return corpus.wording if corpus else None


def _matched(study: Study, located: Located, arm: Arm, index: int) -> str:
    """The stage whose system block is taken over: `match`, else the arm's only narrow stage."""
    name = arm[index]
    narrow = [s for s in arm if s != name and _narrow(study.stages[s])]
    other = study.stages[name].match or (narrow[0] if len(set(narrow)) == 1 else None)
    if other is None and study.orderings is not None and study.orderings.of != name:
        other = study.orderings.of
    if other is None or other not in study.stages or other == name:
        raise located.error(
            ("stages", name, "system_prompt"), found=f"`matching` with nothing to match in {list(arm)}",
            wanted="`match: STAGE`", do="name the stage whose system prompt is meant",
        )  # fmt: skip
    return other


def _narrow(stage: Stage) -> bool:
    """Whether it trains on a narrow set: a dataset by name, or one of the recipes that make one."""
    if not isinstance(stage.dataset, RecipeSpec):
        return True
    made = recipes.RECIPES.get(stage.dataset.recipe)
    return made is not None and made.role == "narrow"
