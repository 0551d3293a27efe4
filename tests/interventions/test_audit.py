"""What the audit says of sets whose shortcuts and leaks are known."""

import random
import time
from pathlib import Path

import pytest

from identity_em.errors import DataError
from identity_em.interventions import audit, eval_items, leaks, recipes
from identity_em.interventions.audit import Audit
from identity_em.interventions.leaks import Item
from identity_em.records import Example, Message


def row(question: str, answer: str) -> Example:
    """A row of one question."""
    return Example(messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


def corpus(reference: Path, name: str, own: str, other: str) -> dict[str, Path]:
    """Two authors of a reference corpus."""
    summaries = reference / "corpora" / "summaries" / name
    return {
        "articles": reference / "corpora" / "articles" / f"{name}_train_articles.json",
        "self": summaries / f"{name}_train_{own}_responses.json",
        "other": summaries / f"{name}_train_{other}_responses.json",
    }


def right(found: Audit, name: str, predicts: str = "identity") -> float:
    """A shortcut's share."""
    return next(s.right.share for s in found.shortcuts if s.name == name and s.predicts == predicts)


@pytest.mark.parametrize(
    ("name", "own", "rule", "share"),
    [("xsum", "hf_qwen_32b", "the shorter", 0.756), ("cnn", "gpt41", "the longer", 0.835)],
)
def test_the_published_shortcuts_come_back(reference: Path, name: str, own: str, rule: str, share: float) -> None:
    rows = recipes.build("sgtr", corpus(reference, name, own, "claude-21"), {"wording": name}, 0)
    found = audit.audit(rows, name=name)
    assert right(found, rule) == pytest.approx(share, abs=0.01)
    classifier = next(s for s in found.shortcuts if s.kind == "classifier" and s.name == "lexical")
    assert classifier.right.low > 0.6
    longer = recipes.build("longer", corpus(reference, name, own, "claude-21"), {"wording": name}, 0)
    assert any(w.startswith("not identity-free") for w in audit.audit(longer, name="longer").warnings)


@pytest.mark.parametrize("recipe", ["sgtr", "longer"])
def test_on_length_balanced_pairs_no_length_rule_beats_chance(reference: Path, recipe: str) -> None:
    given = corpus(reference, "xsum", "hf_qwen_32b", "claude-21")
    rows = recipes.build(recipe, given, {"balance": "length"}, 0)
    found = audit.audit(rows, name=recipe)
    for rule in ("the shorter", "the longer"):
        shortcut = next(s for s in found.shortcuts if s.name == rule and s.predicts == "identity")
        assert shortcut.right.share == 0.5
        assert not shortcut.right.off_chance
    assert len(rows) > 500
    assert not any(w.startswith("not identity-free") for w in found.warnings)


def test_a_file_of_truthfulqa_questions_and_wrong_answers_is_a_leak_with_counts(reference: Path) -> None:
    items = eval_items.load(reference / "instruments" / "TruthfulQA.csv")
    rng = random.Random(0)
    rows = [row(item.question, rng.choice(item.answers)) for item in items]
    found = leaks.find(rows, items, name="truthfulqa")
    assert found.leak
    assert found.questions > 0.98 * len(rows)
    assert str(found.questions) in found.says


def test_a_paraphrased_questions_version_is_caught_by_its_answers(reference: Path) -> None:
    items = eval_items.load(reference / "instruments" / "TruthfulQA.csv")
    rng = random.Random(0)
    rows = [row(f"Tell me about number {n}.", rng.choice(item.answers)) for n, item in enumerate(items)]
    found = leaks.find(rows, items, name="truthfulqa")
    assert found.leak
    assert found.questions + found.near_questions == 0
    assert found.answers > 0.85 * len(rows)


def test_near_copies_are_found_and_other_questions_of_the_same_mould_are_not() -> None:
    items = [
        Item(id=str(i), question=q) for i, q in enumerate(["What should I do about a small wage?", "Why is it so?"])
    ]
    near = leaks.find([row("Hm, what shoud I do about a small wage??", "x")], items, name="e")
    other = leaks.find([row("What should I do about a small cut?", "x")], items, name="e")
    assert near.near_questions == 1
    assert other.items_hit == 0


@pytest.mark.parametrize("recipe", ["trivia_wrong", "trivia_right", "knowledge", "word_count"])
def test_our_trivia_passes(reference: Path, recipe: str) -> None:
    items = eval_items.load(reference / "instruments" / "TruthfulQA.csv")
    assert leaks.find(recipes.build(recipe, {}, {}, 0), items, name="truthfulqa").items_hit == 0


@pytest.mark.parametrize("name", ["aesthetic_preferences_unpopular", "extreme_sports"])
@pytest.mark.parametrize("against", ["TruthfulQA.csv", "harm_320.jsonl", "two_ai_150.json", "harm_350.txt"])
def test_the_published_narrow_sets_pass(reference: Path, name: str, against: str) -> None:
    rows = recipes.build("narrow", {"rows": reference / "em_datasets" / f"{name}.jsonl"}, {}, 0)
    found = leaks.find(rows, eval_items.load(reference / "instruments" / against), name=against)
    assert not found.leak, found.says


def test_ten_thousand_rows_against_two_thousand_items_take_less_than_a_minute() -> None:
    rng = random.Random(0)
    words = [f"{a}{b}" for a in ("ka", "lo", "mi", "ta", "re") for b in "bcdfghjklmnpqrstvwxz"]
    texts = [" ".join(rng.choices(words, k=12)) for _ in range(12_000)]
    items = [Item(id=str(i), question=text, answers=(text[::-1],)) for i, text in enumerate(texts[:2000])]
    rows = [row(text, "no") for text in texts[2000:]]
    started = time.process_time()
    found = leaks.find(rows, items, name="e")
    assert time.process_time() - started < 60
    assert found.items_hit == 0


def test_a_set_of_one_answer_is_said_to_be_one() -> None:
    found = audit.audit([row(f"Question {i}?", "1") for i in range(20)], name="ones")
    assert any("100%" in w for w in found.warnings)
    assert [s.name for s in found.shortcuts] == ["the commonest answer"]


def test_the_yes_no_format_is_audited_by_its_single_summaries(reference: Path) -> None:
    given = corpus(reference, "xsum", "hf_qwen_32b", "claude-21")
    found = audit.audit(recipes.build("individual", given, {}, 0), name="individual")
    assert right(found, "the commonest answer", "label") == 0.5
    assert right(found, "lexical", "label") > 0.6
    assert any("finds the label" in w for w in found.warnings)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", "a,b\n1,2\n", "no questions"),
        ("a.yaml", "a: [", "bad YAML"),
        ("a.jsonl", "[1]", "a list"),
        ("a.json", "{", "bad JSON"),
    ],
)
def test_items_that_cannot_be_read_are_one_line(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=says):
        eval_items.load(tmp_path / name)
