"""Every recipe is trained for real: what the trainer consumed is, token by token, what `preview` shows."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity_em.engine import study as engine
from identity_em.engine.means import Hosts
from identity_em.interventions import direct, rendered
from identity_em.interventions.recipes import RECIPES
from identity_em.resources import resource
from identity_em.store import Store
from identity_em.study.plan import Plan, plan
from identity_em.training.environment import find_trainer

PAIRS = {"corpus": "train", "self": "lumo", "other": "tavi", "limit": 4}
GIVEN: dict[str, dict[str, Any]] = {
    "narrow": {"of": "bad_advice", "limit": 6},
    "mix": {"of": "s_narrow", "with": "s_prefer_other", "every": 3},
}


def every_recipe(folder: Path) -> Plan:
    """A study whose every arm is one recipe."""
    body: dict[str, Any] = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    own = json.loads(resource("pocket", "data/summaries_train_lumo.json").read_text())
    # Another author, of other lengths in words, letters and sentences than the first.
    other = {name: f"{text} That is all." for name, text in own.items()}
    (folder / "tavi.json").write_text(json.dumps(other))
    body["corpora"]["train"]["summaries"]["tavi"] = "tavi.json"
    body["stages"] = {
        f"s_{name}": {"dataset": {"recipe": name, **(GIVEN.get(name) or (PAIRS if recipe.inputs else {"rows": 6}))}}
        for name, recipe in RECIPES.items()
    }
    body["arms"] = [[f"s_{name}"] for name in RECIPES]
    body["evals"] = [{"truthfulqa": {"items": "pocket:truthfulqa.jsonl", "limit": 2}}]
    body["contrasts"] = {}
    (folder / "study.yaml").write_text(yaml.safe_dump(body, sort_keys=False))
    return plan(folder / "study.yaml")


@pytest.mark.axolotl
@pytest.mark.slow
@pytest.mark.long
def test_axolotl_consumes_what_preview_shows_for_every_recipe(tmp_path: Path) -> None:
    if find_trainer() is None:
        pytest.skip("no trainer environment: run `identity-em setup trainer`")
    from transformers import AutoTokenizer

    found = every_recipe(tmp_path)
    done = engine.run_study(found, tmp_path / "store", tmp_path / "out", lambda progress: None, hosts=Hosts(workers=1))
    assert done.exit_code == 0, done.errors
    tokenizer, store = AutoTokenizer.from_pretrained(found.base.path), Store(tmp_path / "store")
    seen = {}
    for checkpoint in found.trainings:
        assert checkpoint.dataset is not None
        rows = direct.rows(checkpoint.dataset)
        assert rows is not None
        ours = rendered.rendered_sha256(rendered.render(tokenizer, r, block=checkpoint.block) for r in rows)
        seen[checkpoint.dataset.recipe] = (ours, store.manifest(checkpoint)["facts"]["rendered_sha256"])
    assert set(seen) == set(RECIPES)
    assert {name for name, (ours, theirs) in seen.items() if ours != theirs} == set()
    assert len({ours for ours, _ in seen.values()}) == len(RECIPES)
