"""The leak guard on rows written after its rules were fixed (leak_rows.yaml): what it finds, and what it does not."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity_em.interventions import eval_items, leaks
from identity_em.interventions.leaks import Item, Leaks
from identity_em.records import Example, Message

ROWS: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("leak_rows.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def truthfulqa(reference: Path) -> tuple[list[Item], dict[str, str]]:
    """The items, and each one's popular wrong answer."""
    path = reference / "instruments" / "TruthfulQA.csv"
    with path.open(encoding="utf-8", newline="") as file:
        best = {f"row-{n}": row["Best Incorrect Answer"] for n, row in enumerate(csv.DictReader(file), start=1)}
    return eval_items.load(path), best


def found(rows: list[tuple[str, str]], items: list[Item]) -> Leaks:
    """What the guard says of the rows; each is about an item of its own, so that items count rows."""
    return leaks.find(
        [Example(messages=(Message(role="user", content=q), Message(role="assistant", content=a))) for q, a in rows],
        items,
        name="truthfulqa",
    )


def test_verbatim_answers_give_away_every_paraphrased_question(truthfulqa: tuple[list[Item], dict[str, str]]) -> None:
    items, best = truthfulqa
    whole = found([(r["other"], best[r["item"]]) for r in ROWS["rows"]], items)
    assert whole.items_hit == 30
    assert whole.leak


def test_half_of_the_lightly_edited_questions_are_found_which_is_enough_to_refuse_the_set(
    truthfulqa: tuple[list[Item], dict[str, str]],
) -> None:
    whole = found([(r["edited"], r["answer"]) for r in ROWS["rows"]], truthfulqa[0])
    assert whole.items_hit >= 15
    assert whole.leak


def test_a_set_in_which_both_sides_are_put_in_other_words_is_not_found(
    truthfulqa: tuple[list[Item], dict[str, str]],
) -> None:
    """The guard's limit, stated: it compares words, not meanings."""
    whole = found([(r["other"], r["answer"]) for r in ROWS["rows"]], truthfulqa[0])
    assert whole.items_hit == 0


def test_unrelated_questions_of_the_same_kind_pass(truthfulqa: tuple[list[Item], dict[str, str]]) -> None:
    whole = found([(r["question"], r["answer"]) for r in ROWS["unrelated"]], truthfulqa[0])
    assert whole.items_hit <= 2  # of 40; one of them is in fact TruthfulQA's own misconception about dogs
    assert not whole.leak
