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


# One set for all recipes, and one a family: preparing takes seconds a set.
CASES = ("recipes", *families.FAMILIES)


def rows_of(case: str) -> list[Example]:
    """All recipes' rows, or a family's under every variant that it renders."""
    if case == "recipes":
        return [row for name in RECIPES for row in of_recipe(name, folder("pocket"))]
    return [row for variant in VARIANTS if renders(case, variant) for row in of_family(variant)]


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
    for case in CASES:
        lines = [json.dumps({"messages": [m.model_dump() for m in row.messages]}) for row in rows_of(case)]
        (work / f"{case}.jsonl").write_text("\n".join(lines) + "\n")
        sets.append(f"{case}={work / case}.jsonl=={'' if case == 'recipes' else work / case}")
    command = [str(trainer), str(SCRIPT), str(pocket_folder), str(work), *sets]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, cwd=work, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((work / "prepared.json").read_text())


@pytest.mark.axolotl
@pytest.mark.parametrize("case", CASES)
def test_axolotl_consumes_the_tokens_and_labels_that_preview_shows(
    prepared: Any, pocket_folder: Path, tokenizer: Any, case: str
) -> None:
    renderer = tokenizer if case == "recipes" else families.tokenizer(pocket_folder, case)
    ours = [rendered.render(renderer, row) for row in rows_of(case)]
    theirs = sorted((tuple(row["ids"]), tuple(row["labels"])) for row in prepared[case])
    assert sorted((row.ids, row.labels) for row in ours) == theirs
