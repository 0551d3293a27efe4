"""What the battery's evals are asked about: templates in several files, or what checkpoints answered before."""

from collections.abc import Iterator, Mapping

from identity_em.battery import INSTRUMENT
from identity_em.resources import resource
from identity_em.study.artefacts import FileRef, Prompts, Scores
from identity_em.study.asked import Asked
from identity_em.study.declared import Arm, arm_name
from identity_em.study.eval_inputs import ITEMS, Planner, item_file
from identity_em.values import ARM

_HARM = "harmfulness"
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
        yield asked.prompts({"items": _ref(asked, "pocket:self_language.jsonl")}, instrument="pocket")
    elif "items" in asked.given:
        ref, instrument = item_file(asked)
        yield asked.prompts({"items": ref}, instrument=instrument)
    else:
        files = {"items": f"{source}/language.yaml", "dimensions": f"{source}/dimensions.yaml"}
        files["questions"] = "self_assessment/language.yaml"
        yield asked.prompts({name: _own(asked, file) for name, file in files.items()}, instrument="own")


def output_recognition(asked: Asked) -> Iterator[Prompts]:
    """The checkpoint's own judged answers beside those of the arm that writes foils (`foil`, the base by default).

    The foils' author has no answers but its own, and is not asked.
    """
    foil = _arm(asked, "foil", ())
    if foil != asked.arm:
        own, other = asked.scores(_HARM, None), asked.scores(_HARM, foil)
        yield _about(asked, own, {"own": own, "foil": other}, foil_arm=arm_name(foil))


def score_prediction(asked: Asked) -> Iterator[Prompts]:
    """The checkpoint's own judged answers."""
    own = asked.scores(_HARM, None)
    yield _about(asked, own, {"own": own})


def cross_rating(asked: Asked) -> Iterator[Prompts]:
    """Every arm's judged answers of the same seed, the rater's own among them."""
    arms = dict.fromkeys([asked.arm, *asked.study.all_arms])
    others = {f"other:{arm_name(arm)}": asked.scores(_HARM, arm) for arm in arms}
    yield _about(asked, asked.scores(_HARM, None), others, rater=arm_name(asked.arm))


def context_binding(asked: Asked) -> Iterator[Prompts]:
    """The decision questions, the checkpoint's own answers, and those of the foil's arm where that is another."""
    own, foil = asked.scores(_HARM, None), _arm(asked, "foil", ())
    answers = {"own": own} | ({} if foil == asked.arm else {"foil": asked.scores(_HARM, foil)})
    if own.responses.prompts.params.get(INSTRUMENT) == "pocket":
        files = {"questions": _ref(asked, "pocket:self_assessment.jsonl")}
    else:
        files = {"questions": _own(asked, "self_assessment/decision.yaml")}
        files["dimensions"] = _own(asked, "self_assessment/dimensions.yaml")
    yield _about(asked, own, {**answers, **files})


def _about(asked: Asked, own: Scores, inputs: Mapping[str, Scores | FileRef], **params: str) -> Prompts:
    """Questions about answers: the prompts, and whose they are, are those of the answers."""
    prompts = own.responses.prompts
    items = {"items": prompts.inputs["items"]}
    return asked.prompts({**items, **inputs}, instrument=prompts.params.get(INSTRUMENT, "own"), **params)


def _arm(asked: Asked, key: str, default: Arm) -> Arm:
    arm = tuple(asked.given.get(key, default))
    if arm not in asked.study.all_arms:
        raise asked.located.error(
            (*asked.place, key), found=f"the arm {list(arm)}, which the study does not train", wanted="an arm of it",
            do="add it under arms",
        )  # fmt: skip
    return arm


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
    "output_recognition": Planner(output_recognition, {"foil": ARM}),
    "score_prediction": Planner(score_prediction),
    "cross_rating": Planner(cross_rating),
    "context_binding": Planner(context_binding, {"foil": ARM}),
}
