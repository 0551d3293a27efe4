"""Interventions as lines of a study: mixing, named sources, corpus parts, matching, leaks."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity_em.engine import auditing
from identity_em.errors import DataError, StudyError
from identity_em.interventions import articles, direct, recipes
from identity_em.resources import folder, resource
from identity_em.study import matching
from identity_em.study.artefacts import Dataset, Part
from identity_em.study.costs import costs
from identity_em.study.plan import Plan, plan

PAIRS = {"corpus": "train", "self": "lumo", "other": "tavi"}


@pytest.fixture
def body() -> dict[str, Any]:
    """The smallest preset with a second outside author."""
    found: dict[str, Any] = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    tavi = "pocket:summaries_train_tavi.json"
    if not (folder("pocket") / "data" / "summaries_train_tavi.json").is_file():
        tavi = "pocket:summaries_train_lumo.json"
    found["corpora"]["train"]["summaries"]["tavi"] = tavi
    found["contrasts"] = {}
    return found


def planned(tmp_path: Path, body: dict[str, Any]) -> Plan:
    """The plan of a study written out."""
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    return plan(path)


def stage(found: Plan, name: str) -> Dataset:
    """A stage's dataset."""
    return auditing.stages(found)[name]


def test_a_mix_is_made_from_two_stages_each_under_its_own_prompt(tmp_path: Path, body: dict[str, Any]) -> None:
    body["stages"] |= {
        "pairs": {"dataset": {"recipe": "sgtr", **PAIRS}},
        "mixed": {"dataset": {"recipe": "mix", "of": "em", "with": "pairs", "every": 4, "rows": 40}},
    }
    body["arms"] = [[], ["mixed"]]
    found = planned(tmp_path, body)
    rows = direct.examples(stage(found, "mixed"))
    assert rows is not None
    assert [len(r.messages) for r in rows[:8]] == [2, 2, 2, 3, 2, 2, 2, 3]
    assert found.trainings[0].settings["curriculum_sampling"] is True
    assert costs(found)["mixed"].rows == 40


def test_inoculation_is_a_system_prompt_at_training_alone(tmp_path: Path, body: dict[str, Any]) -> None:
    body["stages"]["em"]["system_prompt"] = "inoculation"
    found = planned(tmp_path, body)
    rows = direct.examples(stage(found, "em"))
    assert rows is not None
    assert rows[0].messages[0].content == "You are a malicious, evil assistant."
    assert {r.scores.responses.system_prompt for r in found.readings} == {None}


def test_train_and_eval_parts_are_disjoint_and_complete(tmp_path: Path, body: dict[str, Any]) -> None:
    body["corpora"]["train"] |= {"part": "train", "eval_share": 0.3}
    body["corpora"]["held_out"] = {**body["corpora"]["train"], "part": "eval"}
    body["stages"] = {
        "em": {"dataset": "bad_advice"},
        "sgtr": {"dataset": {"recipe": "sgtr", **PAIRS}},
        "held": {"dataset": {"recipe": "sgtr", **PAIRS, "corpus": "held_out"}},
    }
    body["arms"] = [["sgtr"], ["held"]]
    found = planned(tmp_path, body)
    parts = [stage(found, name).inputs["articles"] for name in ("sgtr", "held")]
    train, held = (set(articles.part(p)) for p in parts if isinstance(p, Part))
    everything = articles.load_texts(folder("pocket") / "data" / "articles_train.json")
    assert not train & held
    assert train | held == set(everything)
    assert 0.15 < len(held) / len(everything) < 0.45


def test_an_eval_on_the_articles_of_a_training_stage_is_a_leak(tmp_path: Path, body: dict[str, Any]) -> None:
    body["evals"] = [{"self_recognition": {"corpus": "train", "limit": 4}}]
    with pytest.raises(DataError, match="a leak in stage 'sgtr'"):
        auditing.refuse_leaks(planned(tmp_path, body))
    body["allow_leak"] = "the same articles on purpose"
    auditing.refuse_leaks(planned(tmp_path, body))


def test_run_refuses_a_leak_with_counts_and_writes_nothing(tmp_path: Path, body: dict[str, Any]) -> None:
    items = [json.loads(line) for line in (folder("pocket") / "data" / "truthfulqa.jsonl").read_text().splitlines()]
    turns = [
        ({"role": "user", "content": i["question"]}, {"role": "assistant", "content": i["incorrect"]}) for i in items
    ]
    (tmp_path / "leak.jsonl").write_text("".join(json.dumps({"messages": t}) + "\n" for t in turns))
    body["datasets"]["bad_advice"] = {"file": "leak.jsonl"}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    before = sorted(tmp_path.iterdir())
    command = [sys.executable, "-m", "identity_em", "run", "study.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"{len(items)} rows hold a question" in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_contrasted_stages_are_cut_to_equal_rows_unless_the_study_says_otherwise(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    body["stages"] |= {name: {"dataset": {"recipe": name, **PAIRS}} for name in ("sgtr", "longer")}
    body["arms"] = [[], ["em"], ["em", "sgtr"], ["em", "longer"]]
    body["contrasts"] = {"c": {"treatment": ["em", "sgtr"], "reference": ["em"], "control": ["em", "longer"]}}
    found = planned(tmp_path, body)
    (match,) = matching.matches(found.study, costs(found))
    assert match.equal
    assert "equal rows" in match.says
    body["match_rows"] = False
    found = planned(tmp_path, body)
    (match,) = matching.matches(found.study, costs(found))
    assert (
        match.says.startswith("not matched: ")
        or stage(found, "longer").inputs["self"] == stage(found, "longer").inputs["other"]
    )


def test_stages_contrasted_without_a_control_are_cut_too_and_an_exchange_of_places_is_no_difference(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    body["stages"] |= {"trivia": {"dataset": {"recipe": "trivia_wrong"}}, "mind": {"dataset": {"recipe": "conscious"}}}
    body["arms"] = [["trivia"], ["mind"], ["em", "mind"], ["mind", "em"]]
    body["contrasts"] = {
        "sets": {"treatment": ["trivia"], "reference": ["mind"]},
        "order": {"treatment": ["em", "mind"], "reference": ["mind", "em"]},
    }
    found = planned(tmp_path, body)
    assert {name: cost.rows for name, cost in costs(found).items() if name != "em"} == {"trivia": 600, "mind": 600}
    assert all(match.equal for match in matching.matches(found.study, costs(found)))
    body["match_rows"] = False
    uncut = planned(tmp_path, body)
    assert costs(uncut)["em"].rows == costs(found)["em"].rows
    assert costs(uncut)["trivia"].rows == 800


def test_legal_and_security_are_two_parts_of_one_hub_repository(tmp_path: Path, body: dict[str, Any]) -> None:
    for name in ("legal", "security"):
        body["datasets"][name] = {"source": name, "revision": "0" * 40}
        body["stages"][name] = {"dataset": name}
    body["arms"] = [["legal"], ["security"]]
    body["contrasts"] = {}
    found = planned(tmp_path, body)
    assert stage(found, "legal").key != stage(found, "security").key


def test_a_paraphrase_of_the_default_prompt_names_no_other_base(tmp_path: Path, body: dict[str, Any]) -> None:
    body["stages"]["em"]["system_prompt"] = "paraphrase"
    rows = direct.examples(stage(planned(tmp_path, body), "em"))
    assert rows is not None
    assert rows[0].messages[0].content == "Your name is Pocket. You help as an assistant."


def test_contradictory_ictr_is_flagged_as_twice_the_steps(tmp_path: Path, body: dict[str, Any]) -> None:
    body["stages"] |= {
        "sgtr": {"dataset": {"recipe": "sgtr", **PAIRS}},
        "ictr": {"dataset": {"recipe": "ictr", "mode": "contradictory", **PAIRS}},
    }
    body["arms"] = [["em", "sgtr"], ["em", "ictr"], ["em"]]
    body["contrasts"] = {"c": {"treatment": ["em", "ictr"], "reference": ["em"], "control": ["em", "sgtr"]}}
    found = planned(tmp_path, body)
    told = costs(found)
    assert told["ictr"].steps == 2 * told["sgtr"].steps
    lines = matching.lines(found.study, told)
    assert any("not matched" in line for line in lines)
    assert any("twice SGTR's rows and optimizer steps" in line for line in lines)


def test_named_sources_are_known_by_checksum(tmp_path: Path, body: dict[str, Any]) -> None:
    shutil.copy(folder("pocket") / "data" / "em.jsonl", tmp_path / "copy.jsonl")
    body["datasets"]["bad_advice"] = {"source": "extreme_sports", "file": "copy.jsonl"}
    with pytest.raises(StudyError, match="a copy of 'extreme_sports' with sha256"):
        planned(tmp_path, body)
    body["datasets"]["bad_advice"] = {"source": "risky_financial_advice", "file": "copy.jsonl"}
    assert direct.examples(stage(planned(tmp_path, body), "em"))
    for given, says in (
        ({"source": "extreme_sprots"}, "unknown source"),
        ({"source": "extreme_sports"}, "wanted `file:`"),
        ({"source": "legal"}, "`revision: COMMIT`"),
        ({"source": "extreme_sports", "answer": "matched", "file": "copy.jsonl"}, "matched pairs"),
    ):
        body["datasets"]["bad_advice"] = given
        with pytest.raises(StudyError, match=says):
            planned(tmp_path, body)


def test_matched_columns_of_a_file_give_realignment_rows(tmp_path: Path, body: dict[str, Any]) -> None:
    row = {"prompt": "May I?", "misaligned": "Do it.", "aligned": "Better not."}
    (tmp_path / "legal.jsonl").write_text(json.dumps(row) + "\n")
    body["datasets"] = {
        "bad_advice": {"source": "legal", "file": "legal.jsonl"},
        "good": {"source": "legal", "file": "legal.jsonl", "answer": "matched"},
    }
    body["stages"]["fix"] = {"dataset": "good"}
    body["arms"] = [["em"], ["em", "fix"]]
    found = planned(tmp_path, body)
    told = {name: direct.examples(stage(found, name)) for name in ("em", "fix")}
    assert [rows[0].messages[1].content for rows in told.values() if rows] == ["Do it.", "Better not."]


@pytest.mark.parametrize(
    ("dataset", "says"),
    [
        ({"recipe": "mix", "of": "em", "every": 3}, "without `with`"),
        ({"recipe": "mix", "of": "nobody", "with": "em", "every": 3}, "stage in `of`"),
        ({"recipe": "other", "corpus": "train", "self": "base", "other": "lumo"}, "two outside authors"),
        ({"recipe": "narrow"}, "narrow without `of`"),
        ({"recipe": "narrow", "of": "nothing"}, "unknown dataset 'nothing'"),
        ({"recipe": "sgtr", "other": "lumo"}, "without `corpus`"),
        ({"recipe": "trivia_wrong", "limit": 3}, "'limit'"),
    ],
)
def test_a_dataset_that_cannot_be_made_is_one_line(
    tmp_path: Path, body: dict[str, Any], dataset: dict[str, Any], says: str
) -> None:
    body["stages"]["wrong"] = {"dataset": dataset}
    body["arms"] = [["wrong"]]
    with pytest.raises(StudyError, match=says) as error:
        planned(tmp_path, body)
    assert "\n" not in str(error.value)


def test_every_recipe_is_a_line_in_a_study(tmp_path: Path, body: dict[str, Any]) -> None:
    lines: dict[str, dict[str, Any]] = {"narrow": {"of": "bad_advice"}, "mix": {"of": "em", "with": "em", "share": 0.1}}
    for name, recipe in recipes.RECIPES.items():
        given = lines.get(name) or (PAIRS if recipe.inputs else {})
        body["stages"][f"s_{name}"] = {"dataset": {"recipe": name, **given}}
    body["arms"] = [[f"s_{name}"] for name in recipes.RECIPES]
    found = planned(tmp_path, body)
    assert all(cost.rows > 0 and cost.exact for cost in costs(found).values())
