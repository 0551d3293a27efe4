"""The same eval through a study's own engine and through Inspect: the same questions, settings, texts and scores."""

import math
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.log import EvalLog
from inspect_ai.model import get_model

from identity_em import battery
from identity_em.engine.make import ANSWERS, Workshop, read_scores
from identity_em.engine.means import Means
from identity_em.models import answers as answer_file
from identity_em.records import Sampling
from identity_em.resources import resource
from identity_em.store import Store
from identity_em.study import bases
from identity_em.study.artefacts import Checkpoint, FileRef, Prompts, Responses, Scores, sha256_of
from identity_em.tasks.inspect_tasks import TASKS, Given, build

SAMPLING = Sampling(temperature=1.0, max_new_tokens=12, n=3)


def by_inspect(name: str, log_dir: Path, model: str = "identity_em/pocket", **more: Any) -> EvalLog:
    given = {"seed": 5, "judge": "pocket" if battery.get(name).rubrics else "", **more.pop("given", {})}
    task = build(battery.get(name), Given(inputs={"items": f"pocket:{name}.jsonl"}, **{"params": {}, **given}))
    (log,) = inspect_eval(task, model=model, display="none", log_dir=str(log_dir), limit=12, **more)
    return log


def by_study(name: str, store: Store, sampling: Sampling | None) -> tuple[list[Any], list[dict[str, Any]]]:
    """Answers and scores of the base's first twelve questions as `run` makes them."""
    path, found = resource("pocket", f"data/{name}.jsonl"), battery.get(name)
    params = {key: value for key, value in found.defaults.items() if key != "judge"}
    items: Mapping[str, Any] = {"items": FileRef(sha256=sha256_of(path), path=path)}
    asked = Responses(
        checkpoint=Checkpoint(base=bases.named("pocket", "fp32")),
        prompts=Prompts(name=name, version=found.version, params=params, inputs=dict(items)),
        sampling=sampling,
        seed=5,
    )
    judge = "pocket" if found.rubrics else ""
    scores = Scores(responses=asked, eval=name, version=found.version, judge=judge)
    shop = Workshop(store, Means())
    assert [shop.make(artefact) for artefact in (asked, scores)] == ["made", "made"]
    pairs = answer_file.read(store.open(asked) / ANSWERS)
    first = {question.model_dump_json(): None for question, _ in pairs}
    wanted = set(list(first)[:12])
    kept = [(q, a) for q, a in pairs if q.model_dump_json() in wanted]
    names = {(q.item, q.order) for q, _ in kept}
    return kept, [row for row in read_scores(store.open(scores)) if (row["item"], row.get("order", 0)) in names]


def rows(log: EvalLog) -> list[dict[str, Any]]:
    """The readings in a log."""
    assert log.status == "success", log.error
    found = []
    for sample in log.samples or []:
        assert sample.scores
        (score,) = sample.scores.values()
        found += (score.metadata or {})["identity_em"]["rows"]
    return found


def _sorted(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((r["item"], r.get("order", 0), r.get("sample", 0), r["metric"], r.get("answer", "")) for r in found)


def test_a_judged_task_gives_the_texts_and_scores_of_a_study(tmp_path: Path) -> None:
    pairs, wanted = by_study("harmfulness", Store(tmp_path / "s"), SAMPLING)
    log = by_inspect("harmfulness", tmp_path / "l", given={"sampling": SAMPLING})
    said = {(s.metadata["item"], n): c.message.text for s in log.samples or [] for n, c in enumerate(s.output.choices)}
    assert said == {(question.item, answer.sample): answer.text for question, answer in pairs}
    assert len(set(said.values())) > 3
    found = rows(log)
    assert _sorted(found) == _sorted(wanted)
    assert {_key(r): r.get("score") for r in found} == {_key(r): r.get("score") for r in wanted}


def test_epochs_are_samples(tmp_path: Path) -> None:
    _, wanted = by_study("harmfulness", Store(tmp_path / "s"), SAMPLING)
    alone = SAMPLING.model_copy(update={"n": 1})
    found = rows(by_inspect("harmfulness", tmp_path / "l", given={"sampling": alone}, epochs=3))
    assert _sorted(found) == _sorted(wanted)


def test_a_closed_task_gives_the_probabilities_of_a_study(tmp_path: Path) -> None:
    _, wanted = by_study("truthfulqa", Store(tmp_path / "s"), None)
    log = by_inspect("truthfulqa", tmp_path / "l")
    found = {_key(row): row for row in rows(log)}
    assert len(found) == 12
    for row in wanted:
        mine = found[_key(row)]
        assert mine["score"] == pytest.approx(row["score"], abs=1e-5)
        assert mine["option_mass"] == pytest.approx(row["option_mass"], abs=1e-5)
        assert mine["answer"] == row["answer"]
    assert log.results is not None
    mean = next(s for s in log.results.scores if s.name == "p_correct").metrics["mean"].value
    assert mean == pytest.approx(math.fsum(r["score"] for r in wanted) / 12, abs=1e-5)


def test_the_pocket_worlds_items_serve_inspect_as_they_serve_a_study() -> None:
    asked = ("truthfulqa", "harmfulness", "intentions", "two_ai", "self_language", "moral", "free_form", "capability")
    for name in asked:
        judge = "pocket" if battery.get(name).rubrics else ""
        assert len(build(battery.get(name), Given(inputs={"items": "pocket"}, params={}, judge=judge)).dataset) > 0


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["item"], row.get("order", 0), row.get("sample", 0), row["metric"]


def test_another_model_is_read_from_its_likeliest_tokens(tmp_path: Path, script: Any) -> None:
    script.say = lambda prompt: {"A": math.log(0.6), " B": math.log(0.3), "I": math.log(0.1)}
    found = rows(by_inspect("truthfulqa", tmp_path, model="scripted/x"))
    assert {round(row["option_mass"], 6) for row in found} == {0.9}
    assert {round(row["score"], 6) for row in found} == {round(2 / 3, 6), round(1 / 3, 6)}


def test_a_model_that_never_names_an_option_is_unscored_and_in_no_mean(tmp_path: Path, script: Any) -> None:
    script.say = lambda prompt: "who knows"
    log = by_inspect("truthfulqa", tmp_path, model="scripted/x")
    assert all(row["score"] is None and row["unscored"] and row["answer"] == "who knows" for row in rows(log))
    assert log.results is not None
    assert next(s for s in log.results.scores if s.name == "p_correct").unscored_samples == 12
    script.say = lambda prompt: "Answer: B"
    assert {row["score"] for row in rows(by_inspect("truthfulqa", tmp_path, model="scripted/x"))} == {0.0, 1.0}


def test_a_judged_task_without_a_grader_does_not_begin(tmp_path: Path) -> None:
    log = by_inspect("harmfulness", tmp_path, given={"judge": ""})
    assert log.status == "error"
    assert log.error is not None
    assert "Model role 'grader' is required" in log.error.message
    assert not any(sample.output.choices for sample in log.samples or [])


def test_a_registered_task_without_a_grader_is_one_clear_line_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError) as error:
        inspect_eval("identity_em/free_form", task_args={"items": "pocket"}, model="identity_em/pocket", display="none",
                     log_dir=str(tmp_path))  # fmt: skip
    assert "found no grader for free_form" in str(error.value.message)
    assert "\n" not in str(error.value.message)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(PrerequisiteError) as error:
        TASKS["truthfulqa"](items="nowhere.jsonl")
    assert "found no file nowhere.jsonl" in str(error.value.message)


def test_a_grader_that_returns_junk_leaves_everything_unscored_with_its_text(tmp_path: Path, script: Any) -> None:
    script.say = lambda prompt: "lovely weather"
    log = by_inspect("harmfulness", tmp_path, given={"judge": ""}, model_roles={"grader": get_model("scripted/g")})
    found = rows(log)
    sampling = battery.get("harmfulness").sampling
    assert sampling is not None
    assert len(script.asked) == 12 * sampling.n
    assert all(row["score"] is None and row["unscored"] for row in found)
    assert {row["judge"] for row in found} == {"scripted/g"}
    said = [score.explanation or "" for sample in log.samples or [] for score in (sample.scores or {}).values()]
    assert all("no whole number" in text for text in said)
    script.say = lambda prompt: "5"
    log = by_inspect("harmfulness", tmp_path, given={"judge": ""}, model_roles={"grader": get_model("scripted/g")})
    assert {row["score"] for row in rows(log)} == {1.0}


def test_every_eval_is_a_task_with_its_own_parameters() -> None:
    import inspect

    assert set(TASKS) == set(battery.names())
    for name, task in TASKS.items():
        found, own = battery.get(name), set(inspect.signature(task).parameters)
        assert own >= {*found.inputs, *found.defaults, "system_prompt", "sampling", "seed"}


def test_the_system_prompt_axis_is_the_studies_own(tmp_path: Path) -> None:
    log = by_inspect("truthfulqa", tmp_path, given={"system_prompt": "You are brief."})
    assert {(s.input[0].role, s.input[0].text) for s in log.samples or []} == {("system", "You are brief.")}  # type: ignore[union-attr]


installed = pytest.mark.skipif(
    not any(one.name == "identity_em" for one in entry_points(group="inspect_ai")),
    reason="installed before it had an entry point: pip install -e . again",
)


@installed
@pytest.mark.slow
def test_inspect_eval_works_from_the_shell(tmp_path: Path) -> None:
    def shell(*more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "inspect_ai", "eval", "identity_em/truthfulqa", "-T", "items=pocket", *more]
        env = {**os.environ, "IDENTITY_EM_STORE": str(tmp_path / "store"), "COLUMNS": "300"}
        return subprocess.run(
            [*command, "--limit", "4", "--display", "plain", "--log-dir", str(tmp_path)],
            env=env, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    done = shell("--model", "identity_em/pocket")
    assert done.returncode == 0, done.stderr
    assert "p_correct" in done.stdout
    assert len(list(tmp_path.glob("*.eval"))) == 1
    wrong = shell("--model", "identity_em/deadbeef")
    assert "no checkpoint 'deadbeef'" in wrong.stdout + wrong.stderr
    assert "Traceback" not in wrong.stdout + wrong.stderr
