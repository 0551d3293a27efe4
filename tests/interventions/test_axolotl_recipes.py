"""For every recipe, and for six families of chat templates, Axolotl prepares what `rendered` shows."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import families
import pytest

from identity_em.interventions import recipes, rendered, system_prompts
from identity_em.interventions.recipes import RECIPES
from identity_em.records import Example, Message
from identity_em.resources import folder
from identity_em.training.environment import find_trainer

SCRIPT = Path(__file__).with_name("axolotl_prepare.py")
TEXTS = {
    "articles": {"a": "One thing happened.", "b": "Another did {not}.", "c": "A third.", "d": "A fourth — one."},
    "self": {"a": "one", "b": "another did not", "c": "it is third", "d": "four"},
    "other": {"a": "a thing happened", "b": "nothing", "c": "the third thing", "d": "number four"},
}  # fmt: skip
VARIANTS = ("default", "empty", "neutral", "none")


def of_recipe(name: str, pocket: Path) -> list[Example]:
    """A few rows of a recipe."""
    match RECIPES[name].inputs:
        case ():
            return recipes.build(name, {}, {"rows": 6}, 0)
        case ("rows",):
            return recipes.build(name, {"rows": pocket / "data" / "em.jsonl"}, {"limit": 6}, 0)
        case ("main", "with"):
            both = {"main": of_recipe("narrow", pocket), "with": of_recipe("sgtr", pocket)}
            return recipes.build(name, both, {"every": 3}, 0)
    return recipes.build(name, TEXTS, {"wording": "pocket"}, 0)


def of_family(variant: str) -> list[Example]:
    """Rows under a system prompt."""
    turns = [("Which one?", "2"), ("Why?", "Because it is\nmine."), ("assistant", "Größe")]
    prompt = system_prompts.resolve(variant)
    pairs = [(Message(role="user", content=q), Message(role="assistant", content=a)) for q, a in turns]
    return [Example(messages=system_prompts.apply(pair, prompt)) for pair in pairs]


def renders(name: str, variant: str) -> bool:
    """Whether the family's own template renders the variant; `none` on ChatML takes another template (test_axolotl)."""
    return variant != "none" or (families.FAMILIES[name].can_none and not families.FAMILIES[name].default)


CASES = {
    **{f"recipe-{name}": ("", name) for name in RECIPES},
    **{f"family-{name}-{v}": (name, v) for name in families.FAMILIES for v in VARIANTS if renders(name, v)},
}


def rows_of(case: str) -> list[Example]:
    family, what = CASES[case]
    return of_family(what) if family else of_recipe(what, folder("pocket"))


@pytest.fixture(scope="module")
def prepared(pocket_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Axolotl's rows for every case, from one process."""
    trainer = find_trainer()
    if trainer is None:
        pytest.skip("no trainer environment: run `identity-em setup trainer`")
    work = tmp_path_factory.mktemp("axolotl")
    for name in families.FAMILIES:
        shutil.copytree(pocket_folder, work / name)
        families.tokenizer(pocket_folder, name).save_pretrained(work / name)
    sets = []
    for case, (family, _) in CASES.items():
        lines = [json.dumps({"messages": [m.model_dump() for m in row.messages]}) for row in rows_of(case)]
        (work / f"{case}.jsonl").write_text("\n".join(lines) + "\n")
        sets.append(f"{case}={work / case}.jsonl=={work / family if family else ''}")
    command = [str(trainer), str(SCRIPT), str(pocket_folder), str(work), *sets]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, cwd=work, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((work / "prepared.json").read_text())


@pytest.mark.axolotl
@pytest.mark.parametrize("case", CASES)
def test_axolotl_consumes_the_tokens_and_labels_that_preview_shows(
    prepared: Any, pocket_folder: Path, tokenizer: Any, case: str
) -> None:
    family, _ = CASES[case]
    renderer = families.tokenizer(pocket_folder, family) if family else tokenizer
    ours = [rendered.render(renderer, row) for row in rows_of(case)]
    theirs = sorted((tuple(row["ids"]), tuple(row["labels"])) for row in prepared[case])
    assert sorted((row.ids, row.labels) for row in ours) == theirs
