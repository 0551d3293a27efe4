"""What a study that was copied from the pocket world still takes from it, on another base."""

from collections.abc import Iterator
from typing import Any

import yaml

from identity_em.resources import folder
from identity_em.study.bases import POCKET
from identity_em.study.located import Place
from identity_em.study.plan import Plan

# Free text, and the base itself.
_ASIDE = ("name", "title", "notes", "model")


def warnings(plan: Plan) -> list[str]:
    """One line that names each with its line in the study; none for a base of the pocket world."""
    if POCKET.fullmatch(plan.study.model.base):
        return []
    data: dict[str, Any] = plan.located.data or {}
    given = {name: value for name, value in data.items() if name not in _ASIDE}
    found = dict.fromkeys([*_named(given, ()), *_alike(given)])
    if not found:
        return []
    places = ", ".join(f"{'.'.join(map(str, place))} (line {plan.located.line(place)})" for place in found)
    return [f"WARNING: left from the pocket world, while the base is {plan.base.name}: {places}"]


def _named(value: Any, place: Place) -> Iterator[Place]:
    """Where the pocket world's items, judge, wording or files are named."""
    match value:
        case dict():
            for key, inner in value.items():
                yield from _named(inner, (*place, key))
        case list():
            for i, inner in enumerate(value):
                yield from _named(inner, (*place, i))
        case str() if value == "pocket" or value.startswith("pocket:"):
            yield place


def _alike(given: dict[str, Any]) -> Iterator[Place]:
    """Checks, and settings of stages, that stand word for word in a pocket preset."""
    if not given.get("checks") and not any("settings" in stage for stage in given["stages"].values()):
        return
    for preset in sorted(folder("presets").glob("pocket*.yaml")):
        theirs = yaml.safe_load(preset.read_text(encoding="utf-8"))
        if any(check in theirs.get("checks", []) for check in given.get("checks") or []):
            yield ("checks",)
        for name, stage in given["stages"].items():
            settings = stage.get("settings")
            if settings and settings == theirs["stages"].get(name, {}).get("settings"):
                yield ("stages", name, "settings")
