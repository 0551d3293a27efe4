"""Equal rows for the stages that a study's contrasts compare, where nothing else is asked for."""

from collections.abc import Callable, Iterator

from identity_em.interventions import direct, recipes
from identity_em.study import sizes
from identity_em.study.artefacts import Dataset
from identity_em.study.spec import RecipeSpec, Stage, Study


def caps(study: Study, dataset: Callable[[str], Dataset | None]) -> dict[str, int]:
    """Rows to cut each stage to, so that the stages that contrasted arms differ in have equal rows.

    Args:
        dataset: A stage's dataset as it would be built uncut; None where it cannot be known yet.

    Stages that state `rows` or `limit` themselves, and C's `contradictory` ICTR, are left as they are, and so are
    those compared with them: the plan then says by how much they differ.
    """
    if not study.match_rows:
        return {}
    found: dict[str, int] = {}
    for group in _groups(study):
        sizes = [_rows(dataset(name)) for name in group]
        known = [n for n in sizes if n is not None]
        if len(known) == len(sizes) and len(set(known)) > 1:
            found |= dict.fromkeys(group, min(known) - min(known) % 2)
    return found


def _rows(dataset: Dataset | None) -> int | None:
    known = dataset is not None and direct.inputs(dataset) is not None
    return sizes.size(dataset).rows if dataset is not None and known else None


def _fixed(stage: Stage) -> bool:
    """Whether the study itself says how many rows it has."""
    params = stage.dataset.params if isinstance(stage.dataset, RecipeSpec) else {}
    return "rows" in params or "limit" in params or params.get("mode") == "contradictory"


def cut(recipe: str) -> str:
    """The parameter that cuts a recipe's rows."""
    return "limit" if recipes.get(recipe).inputs == ("rows",) else "rows"


def _groups(study: Study) -> list[list[str]]:
    """Stages that stand in for each other in some contrast, directly or through a third."""
    groups: list[set[str]] = []
    for one, other in _pairs(study):
        joined = [g for g in groups if one in g or other in g]
        merged = {one, other}.union(*joined)
        groups = [g for g in groups if g not in joined] + [merged]
    return [sorted(group) for group in groups]


def _pairs(study: Study) -> Iterator[tuple[str, str]]:
    for contrast in study.contrasts.values():
        other = contrast.reference if contrast.control is None else contrast.control
        if len(other) == len(contrast.treatment):  # a stage that both have, at whatever place, is not compared
            ours = [name for name in contrast.treatment if name not in other]
            theirs = [name for name in other if name not in contrast.treatment]
            differ = zip(ours, theirs, strict=False)
            yield from (pair for pair in differ if not any(_fixed(study.stages[name]) for name in pair))
