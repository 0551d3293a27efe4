"""Declared checks against what is asked: a name that nothing is read under would be blamed on the instrument."""

from collections.abc import Iterable

from identity_em import battery
from identity_em.study.artefacts import Scores
from identity_em.study.declared import Check
from identity_em.study.located import Located
from identity_em.study.spec import Study

_OTHER = "other:"


def check(study: Study, located: Located, asked: Iterable[Scores]) -> None:
    """Raises StudyError where a check names an eval, metric, prompt, author or comparator that is not read.

    Args:
        asked: What the study wants read.
    """
    if not study.checks:
        return
    by_eval: dict[str, list[Scores]] = {name: [] for name, _ in study.eval_params}
    for scores in asked:
        by_eval[scores.eval].append(scores)
    for i, declared in enumerate(study.checks):
        place = ("checks", i)
        if declared.eval not in by_eval:
            raise located.unknown((*place, "eval"), "eval", declared.eval, by_eval, "list it under evals:")
        for key, known in _known(study, declared, by_eval[declared.eval]).items():
            name = getattr(declared, key)
            if name is not None and name not in known:
                raise located.unknown((*place, key), f"{key} of {declared.eval}:", name, known)


def _known(study: Study, declared: Check, asked: list[Scores]) -> dict[str, Iterable[str]]:
    """What each name of a check may be."""
    prompts = [scores.responses.prompts for scores in asked]
    others = {name.removeprefix(_OTHER) for p in prompts for name in p.inputs if name.startswith(_OTHER)}
    foils = {str(p.params["foil_arm"]) for p in prompts if "foil_arm" in p.params}
    return {
        "metric": battery.get(declared.eval).metrics,
        "eval_system_prompt": study.eval_system_prompts,
        "author": sorted({str(p.params["author"]) for p in prompts if "author" in p.params}),
        "comparator": sorted(others | foils),
    }
