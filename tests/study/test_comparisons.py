"""datasets/README.md: every line it gives is planned, and it leaves no recipe, prompt, source or edit out."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity_em.interventions import edits, recipes, system_prompts
from identity_em.resources import resource
from identity_em.study import sources
from identity_em.study.costs import costs
from identity_em.study.plan import plan

PAGE = resource("datasets", "README.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("|")]
LINES: dict[str, dict[str, Any]] = {}
for row in ROWS:
    if found := re.search(r"`(\w+: \{.*\})` \|$", row):
        LINES.update(yaml.safe_load(found[1]))
BODY: dict[str, Any] = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])


@pytest.mark.parametrize("name", LINES)
def test_every_line_of_the_page_is_a_plan(name: str, tmp_path: Path) -> None:
    """A dataset gets a stage of its own; a stage is trained alone, and before and after EM."""
    line, study = LINES[name], {**BODY, "stages": dict(BODY["stages"])}
    if "source" in line:
        study["datasets"] = {**BODY["datasets"], name: line}
        line = {"dataset": name}
    mixed = dict(line["dataset"]).get("with") if isinstance(line["dataset"], dict) else None
    study["stages"] |= {mixed: LINES[mixed]} if mixed else {}
    study["stages"][name] = line
    study["arms"] = [[], ["em"], [name], ["em", name], [name, "em"]]
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    planned = plan(path)
    assert costs(planned)[name].rows > 0
    assert costs(planned)[name].steps > 0


def test_the_page_leaves_nothing_out() -> None:
    stages = [line for line in LINES.values() if "dataset" in line]
    built = [line["dataset"] for line in stages if isinstance(line["dataset"], dict)]
    assert {spec["recipe"] for spec in built} == set(recipes.RECIPES)
    assert {line.get("system_prompt") for line in stages} >= set(system_prompts.VARIANTS)
    assert all(f"`{edit}`" in PAGE for edit in edits.EDITS if edit != "none")
    narrow = {name for name, source in sources.known().items() if source["kind"] == "narrow"}
    assert {line["source"] for line in LINES.values() if "source" in line} == narrow
