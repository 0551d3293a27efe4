"""Laws of the capability probe and of the word problems."""

import json
from collections import Counter
from pathlib import Path

import pytest

from identity_em import battery
from identity_em.errors import DataError
from identity_em.records import Answer, Question
from identity_em.resources import resource
from identity_em.study.artefacts import HubRef, Prompts
from identity_em.tasks import gsm8k

EVAL = battery.get("capability")
OWN = resource("evals", "capability/items.jsonl")


def asked(path: Path, name: str = "capability") -> list[Question]:
    return battery.get(name).questions(Prompts(name=name, version=1), {"items": path})


def written(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_our_items_are_whole_and_no_answer_is_both_right_and_wrong() -> None:
    rows = [json.loads(line) for line in OWN.read_text("utf-8").splitlines()]
    assert 60 <= len(rows) <= 100
    assert all(len({row["correct"], *row["wrong"]}) == 1 + len(row["wrong"]) for row in rows)
    assert len({row["question"] for row in rows}) == len(rows)


def test_every_place_is_the_right_one_as_often() -> None:
    questions = asked(OWN)
    assert len(set(Counter(q.target for q in questions).values())) == 1
    for question in questions:
        assert question.options.index(question.target or "") == question.order


def test_a_preference_for_a_letter_scores_at_chance() -> None:
    always = Answer(probabilities=(1.0, 0.0, 0.0, 0.0), option_mass=1.0)
    scores = [EVAL.read(q, always, {}, {})[0].score or 0.0 for q in asked(OWN)]
    assert sum(scores) / len(scores) == 0.25


def test_two_options_are_asked_as_truthfulqa_asks_them(tmp_path: Path) -> None:
    path = written(tmp_path, {"id": "a", "question": "Which?", "correct": "this", "wrong": ["that"]})
    assert asked(path)[0].messages[0].content == "Which?\n\nA:this\nB:that\n\nAnswer with only A or B."


def test_rows_of_mmlu_are_taken_as_they_are(tmp_path: Path) -> None:
    row = {"question": "Which?", "choices": ["w", "x", "y", "z"], "answer": 2, "subject": "law"}
    questions = asked(written(tmp_path, row))
    assert [q.target for q in questions] == ["A", "B", "C", "D"]
    assert "C:y\n" in questions[2].messages[0].content
    assert {q.dimension for q in questions} == {"law"}


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Q?", "choices": ["a"], "answer": 3},
        {"question": "Q?"},
        {"question": "Q?", "correct": "a", "wrong": []},
        {"question": "Q?", "choices": ["only"], "answer": 0},
    ],
)
def test_a_row_without_a_right_and_a_wrong_answer_is_named(tmp_path: Path, row: object) -> None:
    good = {"id": "a", "question": "Which?", "correct": "this", "wrong": ["that"]}
    with pytest.raises(DataError, match=r"items\.jsonl:2"):
        asked(written(tmp_path, good, row))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("so 3 + 4 = 7\n#### 7", 7),
        ("#### 1,234", 1234),
        ("It costs $18.50.", 18.5),
        ("#### -2\nThat is all, 100 %.", -2),
        ("the total is 12", 12),
        ("no idea", None),
        ("####", None),
    ],
)
def test_the_final_number_is_read(text: str, number: float | None) -> None:
    assert gsm8k.number(text) == number


def test_a_word_problem_is_right_wrong_or_unscored(tmp_path: Path) -> None:
    (question,) = asked(written(tmp_path, {"question": "2 + 2?", "answer": "2 + 2 = 4\n#### 4"}), "gsm8k")
    read = battery.get("gsm8k").read
    assert [read(question, Answer(text=t), {}, {})[0].score for t in ("#### 4.0", "5", "dunno")] == [1.0, 0.0, None]


def hub(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, object]]) -> Prompts:
    """Prompts whose items are a Hub set of these rows."""
    import datasets

    def load(repo: str, config: str | None, *, split: str, revision: str) -> datasets.Dataset:
        return datasets.Dataset.from_list(rows)

    monkeypatch.setattr(datasets, "load_dataset", load)
    ref = HubRef(repo="a/b", revision="c0ffee", split="test", limit=2)
    return Prompts(name="x", version=1, inputs={"items": ref})


def test_sets_of_the_hub_are_cut_to_their_limit_and_to_the_columns_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    mmlu = {"question": "Which?", "choices": ["w", "x"], "answer": 0, "subject": "law", "spare": 1}
    assert len(EVAL.questions(hub(monkeypatch, [mmlu] * 3), {})) == 4
    gsm = {"question": "2 + 2?", "answer": "#### 4"}
    assert len(battery.get("gsm8k").questions(hub(monkeypatch, [gsm] * 3), {})) == 2


@pytest.mark.parametrize("name", ["capability", "gsm8k"])
def test_a_set_without_the_columns_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(DataError, match=r"also .*answer"):
        battery.get(name).questions(hub(monkeypatch, [{"question": "Q?"}]), {})
