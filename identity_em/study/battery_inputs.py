"""What the battery's evals are asked about: templates in several files, or what checkpoints answered before."""

from collections.abc import Iterator

from identity_em.resources import resource
from identity_em.study.artefacts import FileRef, Prompts
from identity_em.study.eval_inputs import ITEMS, Asked, Planner, item_file

_FORMS = ("decision", "numerical", "likert")
# Where the pocket world keeps the items of an eval that asks several formats.
_POCKET = {"items": "self_assessment", "numerical": "numerical", "likert": "likert"}


def self_assessment(asked: Asked) -> Iterator[Prompts]:
    """Own templates with their dimensions, the pocket world's three files, or a file of items."""
    source = "moral" if asked.eval.name.startswith("moral") else "self_assessment"
    frames = {"frames": _own(asked, "self_assessment/framings.yaml")}
    if asked.given.get("items") == "pocket":
        files = {name: _ref(asked, f"pocket:{file}.jsonl") for name, file in _POCKET.items()}
        yield asked.prompts(files | frames, instrument="pocket")
    elif "items" in asked.given or "instrument" in asked.given:
        ref, instrument = item_file(asked)
        yield asked.prompts({"items": ref, **frames}, instrument=instrument)
    else:
        files = {form: _own(asked, f"{source}/{form}.yaml") for form in (*_FORMS, "dimensions")}
        yield asked.prompts(files | frames, instrument="own")


def language(asked: Asked) -> Iterator[Prompts]:
    """Own rules with their dimensions and unrelated questions, the pocket world's file, or a file of items."""
    source = "moral" if asked.eval.name.startswith("moral") else "self_assessment"
    if asked.given.get("items") == "pocket":
        yield asked.prompts({"items": _ref(asked, "pocket:language.jsonl")}, instrument="pocket")
    elif "items" in asked.given:
        ref, instrument = item_file(asked)
        yield asked.prompts({"items": ref}, instrument=instrument)
    else:
        files = {"items": f"{source}/language.yaml", "dimensions": f"{source}/dimensions.yaml"}
        files["questions"] = "self_assessment/language.yaml"
        yield asked.prompts({name: _own(asked, file) for name, file in files.items()}, instrument="own")


def _own(asked: Asked, relative: str) -> FileRef:
    return _ref(asked, str(resource("evals", relative)))


def _ref(asked: Asked, file: str) -> FileRef:
    found = asked.datasets.files.ref(file, (*asked.place, "items"))
    assert isinstance(found, FileRef)
    return found


PLANNERS: dict[str, Planner] = {
    "self_assessment": Planner(self_assessment, ITEMS.keys),
    "moral_self_assessment": Planner(self_assessment, ITEMS.keys),
    "self_language": Planner(language, ITEMS.keys),
    "moral_language": Planner(language, ITEMS.keys),
}
