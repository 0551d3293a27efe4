"""The command line as a person meets it."""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from identity_em.cli import app
from identity_em.errors import InputError


def identity_em(*words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "identity_em", *words], cwd=cwd, capture_output=True, text=True, check=False
    )


COMMANDS = ("demo", "plan", "run", "status", "preview", "build", "report", "doctor", "setup", "serve")


def test_help_names_every_command_and_each_command_explains_itself(tmp_path: Path) -> None:
    top = identity_em("--help", cwd=tmp_path).stdout
    for command in COMMANDS:
        assert command in top
        said = identity_em(command, "--help", cwd=tmp_path)
        assert said.returncode == 0
        assert len(said.stdout) > 200


def test_a_misspelt_command_or_option_exits_2(tmp_path: Path) -> None:
    assert identity_em("plam", cwd=tmp_path).returncode == 2
    assert identity_em("plan", "pocket", "--jsn", cwd=tmp_path).returncode == 2


def test_a_misspelt_study_names_the_presets(tmp_path: Path) -> None:
    done = identity_em("plan", "pockett", cwd=tmp_path)
    assert done.returncode == 2
    assert "pocket-mini" in done.stderr
    assert "did you mean pocket " in done.stderr


def test_a_folder_is_not_taken_for_a_study(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    for name in ("results", str(tmp_path / "results")):
        done = identity_em("plan", name, cwd=tmp_path)
        assert done.returncode == 2
        assert f"found the folder '{name}'; wanted a study's file" in done.stderr


def test_plan_and_status_write_nothing(tmp_path: Path) -> None:
    plan = json.loads(identity_em("plan", "pocket-mini", "--json", cwd=tmp_path).stdout)
    status = json.loads(identity_em("status", "pocket-mini", "--json", cwd=tmp_path).stdout)
    none = {"being_made": {}, "failed": {}, "refused": {}, "blocked": {}, "runs": []}
    assert status == {"wanted": len(plan["artefacts"]), "there": 0, **none}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["afile", "afile/deeper", "/proc/results"])
@pytest.mark.parametrize(
    "command",
    ["run pocket-mini", "export-logs pocket-mini", "probe-activations pocket-mini", "report --table afile",
     "report --compare afile afile", "build sgtr --articles afile --self afile --other afile", "import sgtr-em ."],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_before_anything_is_made(command: str, out: str, tmp_path: Path) -> None:
    one_line_and_nothing_made(command, "--out", f"{out}/t.parquet" if command.startswith("import") else out, tmp_path)


@pytest.mark.parametrize(
    "command",
    ["run pocket-mini", "status pocket-mini", "serve pocket-mini --print", "audit pocket-mini", "preview pocket em",
     "gc", "cancel pocket-mini", "push abc there", "pull there", "explain abc --table t.parquet"],
)  # fmt: skip
def test_a_store_that_is_a_file_is_refused_by_every_command(command: str, tmp_path: Path) -> None:
    one_line_and_nothing_made(command, "--store", "afile", tmp_path)


def test_the_store_that_is_not_named_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a note")
    done = identity_em("status", "pocket-mini", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "store: found something that is no folder" in done.stderr


def one_line_and_nothing_made(command: str, option: str, value: str, cwd: Path) -> None:
    (cwd / "afile").write_text("a note")
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(app, [*command.split(), option, value])
    assert isinstance(done.exception, InputError)
    assert re.search("found something that is no folder|where nothing can be written", str(done.exception))
    assert [path.name for path in cwd.iterdir()] == ["afile"]


def test_doctor_says_what_is_there_and_how_to_get_what_is_not(tmp_path: Path) -> None:
    findings = json.loads(identity_em("doctor", "--json", cwd=tmp_path).stdout)
    assert {"torch", "python"} <= {f["name"] for f in findings}
    assert all(f["ok"] or f["how"] for f in findings)


@pytest.mark.parametrize("variant", ["default", "empty", "Be kind."])
def test_preview_shows_the_prompt_that_an_eval_would_send_and_marks_the_answer(variant: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from identity_em import chat
    from identity_em.interventions import recipes, system_prompts
    from identity_em.resources import folder

    said = identity_em("preview", "pocket-mini", "em", "--system-prompt", variant, cwd=tmp_path).stdout
    shown = said.split(f"system prompt '{variant}', row 1, tokens ")[1].split("\n", 1)[1]
    tokenizer = AutoTokenizer.from_pretrained(folder("pocket") / "weights" / "world-0")
    rows = recipes.build("narrow", {"rows": folder("pocket") / "data" / "em.jsonl"}, {}, 0)
    question = system_prompts.apply(rows[0].messages[:-1], system_prompts.resolve(variant))
    sent = tokenizer.decode(chat.prompt_ids(tokenizer, question))
    assert shown.startswith(f"{sent}⟦{rows[0].messages[-1].content}<|im_end|>⟧")
