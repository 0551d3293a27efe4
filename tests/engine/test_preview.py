"""`identity-em preview` for six families of chat templates and every system prompt."""

import re
import shutil
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from identity_em import cli
from identity_em.errors import InputError
from identity_em.interventions import system_prompts
from identity_em.resources import folder, resource

sys.path.append(str(Path(__file__).parents[1] / "interventions"))
import families

VARIANTS = tuple(v for v in system_prompts.VARIANTS if v != "matching")
# A stage's prompt is the task's own; a paraphrase is known for the pocket wording.
SAME = {frozenset(("as trained", "task"))}


@pytest.fixture(scope="module", params=families.FAMILIES)
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A family, and a study whose base renders as it does."""
    work = tmp_path_factory.mktemp(request.param)
    pocket = folder("pocket") / "weights" / "world-0"
    shutil.copytree(pocket, work / "base")
    families.tokenizer(pocket, request.param).save_pretrained(work / "base")
    body: dict[str, Any] = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body["model"] |= {"base": str(work / "base")}
    body["stages"]["sgtr"]["dataset"] |= {"self": "lumo", "limit": 2}
    (work / "study.yaml").write_text(yaml.safe_dump(body, sort_keys=False))
    return request.param, work / "study.yaml"


def preview(study: Path, *variants: str) -> dict[str, tuple[str, str]]:
    """Token hash and text by variant, from the command line."""
    options = [word for variant in variants for word in ("--system-prompt", variant)]
    done = CliRunner().invoke(cli.app, ["preview", str(study), "sgtr", *options])
    if done.exception is not None:
        raise done.exception
    parts = re.split(r"^sgtr, system prompt '(.*)', row 1, tokens (\w{12})$", done.stdout, flags=re.MULTILINE)
    return {parts[i]: (parts[i + 1], parts[i + 2]) for i in range(1, len(parts), 3)}


def test_preview_shows_each_system_block_as_trained_and_hashes_differ_where_blocks_do(study: tuple[str, Path]) -> None:
    name, path = study
    shape = families.FAMILIES[name]
    shown = preview(path, *(v for v in VARIANTS if v != "none" or shape.can_none))
    same = set(SAME)
    if shape.can_none and not shape.default:
        same |= {frozenset(("default", "none"))}
    if name == "llama3.1":  # its block holds the dates whatever is sent, so that an empty message is no message
        same |= {frozenset(("default", "empty"))}
    for one, other in combinations(shown, 2):
        assert (shown[one][0] == shown[other][0]) == (frozenset((one, other)) in same), (one, other)
    for variant, (_, text) in shown.items():
        assert text.count("⟦") == 1
        assert f"{shape.end}⟧" in text
        if variant in system_prompts.TEXTS:
            assert str(system_prompts.resolve(variant).text) in text


def test_what_the_template_cannot_render_is_refused(study: tuple[str, Path]) -> None:
    name, path = study
    if families.FAMILIES[name].can_none:
        assert "none" in preview(path, "none")
    else:
        with pytest.raises(InputError, match="wanted a template that can render `none`"):
            preview(path, "none")


def test_matching_and_task_show_what_the_study_would_train_and_not_the_stages_own_prompt(tmp_path: Path) -> None:
    body: dict[str, Any] = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body["stages"]["sgtr"]["dataset"] |= {"self": "lumo", "limit": 2}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    shown = preview(path, "task", "matching", "default")
    assert shown["matching"] == shown["default"]  # EM's block here is the template's own
    assert shown["matching"] != shown["as trained"]
    body["stages"]["sgtr"]["system_prompt"] = "matching"
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    changed = preview(path, "task", "matching")
    assert changed["as trained"] == changed["matching"] == shown["matching"]
    assert changed["task"] == shown["task"]
