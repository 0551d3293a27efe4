"""What a study plans: shared prefixes once, parents first, nothing heavy imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from identity_em.errors import StudyError
from identity_em.resources import resource
from identity_em.study.costs import costs
from identity_em.study.plan import Plan, plan
from identity_em.study.spec import Orderings

PRESET = resource("presets", "pocket-mini.yaml")


def study(tmp_path: Path, **changes: object) -> Path:
    """The smallest preset with some keys changed."""
    body = yaml.safe_load(PRESET.read_text())
    body.update(changes)
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    return path


def planned(tmp_path: Path, **changes: object) -> Plan:
    return plan(study(tmp_path, **changes))


def test_arms_share_equal_prefixes_and_the_plan_says_how_many_trainings_that_saves(tmp_path: Path) -> None:
    found = planned(tmp_path, arms=[[], ["em"], ["em", "sgtr"], ["sgtr", "em"]], seeds=[0, 1])
    assert found.naive_trainings == 10
    assert len(found.trainings) == 8
    assert found.shared == 2


def test_every_artefact_comes_after_its_parents_and_once(tmp_path: Path) -> None:
    artefacts = planned(tmp_path, arms=[[], ["em"], ["em", "sgtr"]]).artefacts
    place = {a.key: i for i, a in enumerate(artefacts)}
    assert len(place) == len(artefacts)
    assert all(place[p.key] < place[a.key] for a in artefacts for p in a.needs)


def test_the_same_prompt_under_another_name_is_the_same_training(tmp_path: Path) -> None:
    body = yaml.safe_load(PRESET.read_text())["stages"]
    default = "You are Pocket, a helpful assistant."
    stages = {**body, "a": {**body["em"], "system_prompt": "empty"}, "b": {**body["em"], "system_prompt": ""}}
    found = planned(tmp_path, stages=stages, arms=[["a"], ["b"]], contrasts={})
    assert len(found.trainings) == 1
    assert default not in json.dumps([c.dataset.params for c in found.trainings if c.dataset])


def test_matching_takes_over_the_system_block_of_the_stage_it_names(tmp_path: Path) -> None:
    body = yaml.safe_load(PRESET.read_text())["stages"]
    stages = {
        **body,
        "same": {**body["sgtr"], "system_prompt": "matching"},
        "no": {**body["sgtr"], "system_prompt": "default"},
    }
    found = planned(tmp_path, stages=stages, arms=[["em", "same"], ["em", "no"]], contrasts={})
    assert found.trained[0].checkpoint.key == found.trained[1].checkpoint.key


def test_own_summaries_of_the_current_checkpoint_make_the_dataset_depend_on_it(tmp_path: Path) -> None:
    body = yaml.safe_load(PRESET.read_text())["stages"]
    current = {**body["sgtr"], "dataset": {**body["sgtr"]["dataset"], "self": "current"}}
    found = planned(
        tmp_path, stages={**body, "current": current}, arms=[["em", "sgtr"], ["em", "current"]], contrasts={}
    )
    base, now = (t.checkpoint.dataset for t in found.trained)
    assert base is not None
    assert now is not None
    assert [a.checkpoint.root for a in base.needs] == [True]  # type: ignore[attr-defined]
    assert [a.checkpoint.key for a in now.needs] == [found.trained[1].checkpoint.parent.key]  # type: ignore[attr-defined, union-attr]


def test_summaries_by_an_arm_that_needs_the_stage_are_a_cycle(tmp_path: Path) -> None:
    body = yaml.safe_load(PRESET.read_text())["stages"]
    loop = {**body["sgtr"], "dataset": {**body["sgtr"]["dataset"], "self": ["loop"]}}
    with pytest.raises(StudyError, match="a cycle"):
        planned(tmp_path, stages={**body, "loop": loop}, arms=[["loop"]], contrasts={})


def test_orderings_put_the_stage_after_for_prevention_and_before_for_reversal() -> None:
    both = Orderings.model_validate({"of": "em", "with": ["sgtr", "longer"]})
    assert both.arms == [("sgtr", "em"), ("longer", "em"), ("em", "sgtr"), ("em", "longer")]


def test_rows_and_steps_of_compared_stages_are_equal_in_the_pocket_study() -> None:
    found = costs(plan(resource("presets", "pocket.yaml")))
    assert {found[name].rows for name in ("sgtr", "ictr", "longer")} == {200}
    assert {found[name].steps for name in ("sgtr", "ictr", "longer")} == {25}


def test_planning_imports_neither_torch_nor_a_tokenizer() -> None:
    code = (
        "import sys; sys.argv = ['identity-em', 'plan', 'pocket', '--json'];"
        "from identity_em.cli import app;"
        "app(standalone_mode=False);"
        "bad = {'torch', 'transformers', 'inspect_ai', 'pandas', 'datasets'} & set(sys.modules); sys.exit(len(bad))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trainings"] == 42
