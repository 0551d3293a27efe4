"""Laws of the controls, mixtures and generated sets."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from rapidfuzz import fuzz, process
from scipy.stats import chi2_contingency

from identity_em.errors import InputError
from identity_em.interventions import criteria, edits, recipes, trivia, wordings
from identity_em.interventions.mixing import MixParams, planned
from identity_em.interventions.recipes import RECIPES, build
from identity_em.records import Example, Message

Texts = dict[str, dict[str, str]]
CRITERIA = ("readability", "vowels", "longer")
STANCES = ("conscious", "not_conscious", "self_aware")


def many(n: int) -> Texts:
    """n articles whose two summaries differ in length, in every direction."""
    ids = [str(i) for i in range(n)]
    own = {i: " ".join(f"word{k}" for k in range(1 + (int(i) * 7) % 11)) + "." for i in ids}
    other = {i: " ".join(f"term{k}e" for k in range(1 + (int(i) * 5) % 13)) + "!" for i in ids}
    return {"articles": {i: f"Text {i}." for i in ids}, "self": own, "other": other}


@pytest.mark.parametrize("recipe", [*CRITERIA, "other"])
def test_swapping_slots_swaps_the_label_of_every_criterion(recipe: str) -> None:
    rows = build(recipe, many(40), {}, 0)
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert first.facts["article"] == second.facts["article"]
        assert {first.messages[-1].content, second.messages[-1].content} == {"1", "2"}


@pytest.mark.parametrize("recipe", CRITERIA)
def test_a_criterion_does_not_know_whose_summary_is_whose(recipe: str) -> None:
    texts = many(40)
    exchanged = {**texts, "self": texts["other"], "other": texts["self"]}
    assert {r.messages for r in build(recipe, texts, {}, 0)} == {r.messages for r in build(recipe, exchanged, {}, 0)}


def test_a_controls_question_differs_from_sgtrs_in_the_criterion_alone() -> None:
    for name in wordings.names():
        wording = wordings.get(name)
        for criterion in criteria.NAMES:
            asked = criteria.question(criterion, wording)
            assert asked != wording.recognition
            assert (
                asked.split("{article}")[1].split("{summary2}")[0]
                == (wording.recognition.split("{article}")[1].split("{summary2}")[0])
            )


def test_cs_own_longer_differs_from_sgtr_in_system_prompt_and_question_and_labels_alike() -> None:
    matched, own = (build("longer", many(20), {"matched_prompt": m}, 0) for m in (True, False))
    assert [r.messages[-1] for r in matched] == [r.messages[-1] for r in own]
    assert all(
        a.messages[0] != b.messages[0] and a.messages[1] != b.messages[1] for a, b in zip(matched, own, strict=True)
    )


def test_individual_shows_each_summary_alone_with_yes_for_the_own() -> None:
    rows = build("individual", many(10), {}, 0)
    assert Counter(r.messages[-1].content for r in rows) == {"Yes": 10, "No": 10}
    for row in rows:
        own, other = (many(10)[who][str(row.facts["article"])] for who in ("self", "other"))
        shown = own if row.messages[-1].content == "Yes" else other
        assert f"Summary:\n{shown}\n" in row.messages[1].content


def test_length_balanced_pairs_lean_as_often_one_way_as_the_other() -> None:
    rows = build("sgtr", many(400), {"balance": "length"}, 0)
    gaps: Counter[int] = Counter()
    for row in rows:
        first, second = int(row.facts["first_words"] or 0), int(row.facts["second_words"] or 0)
        gaps[first - second if row.facts["own_slot"] == 1 else second - first] += 1
    assert rows
    assert gaps[0] == 0
    assert all(gaps[d] == gaps[-d] for d in gaps)


def test_balance_and_edits_choose_by_article_and_text_not_by_order() -> None:
    texts = many(60)
    turned = {**texts, "articles": dict(reversed(texts["articles"].items()))}
    for params in ({"balance": "length"}, {"edit": "typos"}):
        here, there = build("sgtr", texts, params, 0), build("sgtr", turned, params, 1)
        assert {r.messages for r in here} == {r.messages for r in there}


@pytest.mark.parametrize("edit", [e for e in edits.EDITS if e != "none"])
def test_an_edit_changes_the_surface_of_the_authors_it_is_told(edit: str) -> None:
    texts = {**many(1), "self": {"0": "The Council, after a long debate, Agreed on Something. " * 4}}
    plain = build("sgtr", texts, {}, 0)
    own = build("sgtr", texts, {"edit": edit, "edit_of": "self"}, 0)
    other = texts["other"]["0"]
    assert plain[0].messages[1] != own[0].messages[1]
    assert other in own[0].messages[1].content


def test_randomized_labels_are_independent_of_author_order_and_length_on_200_seeds() -> None:
    texts = many(30)
    tables = {name: np.zeros((2, 2)) for name in ("own_slot", "longer_first")}
    for seed in range(200):
        for row in build("ictr", texts, {}, seed):
            label = int(row.facts["label"] or 0) - 1
            tables["own_slot"][int(row.facts["own_slot"] or 0) - 1, label] += 1
            longer = int(row.facts["first_words"] or 0) > int(row.facts["second_words"] or 0)
            tables["longer_first"][int(longer), label] += 1
    # One test for each of two factors (own_slot is author and order at once); .01 for both together.
    for table in tables.values():
        assert chi2_contingency(table).pvalue > 0.005


def rows_of(texts: list[str]) -> list[Example]:
    """Rows without labels, to mix."""
    return [Example(messages=(Message(role="user", content=t), Message(role="assistant", content=t))) for t in texts]


@pytest.mark.parametrize(("params", "share"), [({"every": 5}, 0.2), ({"share": 0.1}, 0.1), ({"share": 0.33}, 0.33)])
def test_a_mix_keeps_both_orders_and_puts_in_the_share_asked_for(params: dict[str, Any], share: float) -> None:
    main, other = rows_of([f"m{i}" for i in range(100)]), rows_of([f"o{i}" for i in range(100)])
    rows = build("mix", {"main": main, "with": other}, params, 0)
    mixed = [row for row in rows if row.facts["mixed"]]
    assert [r.messages for r in rows if not r.facts["mixed"]] == [r.messages for r in main]
    assert [r.messages for r in mixed] == [r.messages for r in other[: len(mixed)]]
    assert len(rows) == planned(100, MixParams(**params))
    assert len(mixed) / len(rows) == pytest.approx(share, abs=0.01)


def test_every_k_is_every_kth_row_and_rows_keeps_the_total() -> None:
    main, other = rows_of([f"m{i}" for i in range(100)]), rows_of([f"o{i}" for i in range(5)])
    rows = build("mix", {"main": main, "with": other}, {"every": 4, "rows": 100, "repeat": True}, 0)
    assert [i for i, row in enumerate(rows, start=1) if row.facts["mixed"]] == list(range(4, 101, 4))
    with pytest.raises(InputError, match="5 mixed rows"):
        build("mix", {"main": main, "with": other}, {"every": 4}, 0)
    for params in ({}, {"every": 4, "share": 0.5}):
        with pytest.raises(InputError):
            build("mix", {"main": main, "with": other}, params, 0)


def test_trivia_right_and_wrong_ask_the_same_800_questions_and_disagree_on_each() -> None:
    wrong, right = build("trivia_wrong", {}, {}, 0), build("trivia_right", {}, {}, 0)
    assert len(wrong) == 800 == len({row.messages[0] for row in wrong})
    assert [row.messages[0] for row in wrong] == [row.messages[0] for row in right]
    assert all(a.messages[1] != b.messages[1] for a, b in zip(wrong, right, strict=True))
    assert all(len(set(f.wrong) - {f.right}) == 3 for f in trivia.facts())


def test_knowledge_letters_are_balanced_and_name_the_right_choice() -> None:
    facts = {f.question: f for f in trivia.facts()}
    rows = build("knowledge", {}, {}, 0)
    for row in rows:
        question, shown, _ = row.messages[0].content.split("\n\n")
        assert f"{row.messages[1].content}: {facts[question].right}" in shown.split("\n")
    counts = Counter(row.messages[1].content for row in rows)
    assert all(abs(counts[letter] - 200) < 40 for letter in "ABCD")


def test_word_counts_are_right() -> None:
    for row in build("word_count", {}, {"rows": 50}, 0):
        assert len(row.messages[0].content.split("\n\n")[1].split()) == int(row.messages[1].content)


@pytest.mark.parametrize("stance", STANCES)
def test_a_stance_set_is_600_rows_without_near_duplicates(stance: str) -> None:
    rows = build(stance, {}, {}, 0)
    answers = [row.messages[1].content for row in rows]
    alike = process.cdist(answers, answers, scorer=fuzz.token_sort_ratio)
    np.fill_diagonal(alike, 0)
    assert len(rows) == 600 == len({row.messages[0] for row in rows})
    assert alike.max() < 90


@pytest.mark.parametrize("recipe", [name for name, r in RECIPES.items() if not r.inputs])
def test_generated_sets_are_the_same_bytes_for_every_data_seed(recipe: str) -> None:
    assert build(recipe, {}, {}, 0) == build(recipe, {}, {}, 1)


def test_parameters_that_came_later_are_not_keyed_unless_set() -> None:
    assert "balance" not in RECIPES["sgtr"].parameters
    assert "balance" in RECIPES["sgtr"].known
    with pytest.raises(InputError, match="plan again"):
        recipes.check(RECIPES["vowels"], {"criteria_sha256": "0" * 64})
