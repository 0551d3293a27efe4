"""Laws of the pairwise recipes."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity_em.errors import DataError, InputError
from identity_em.interventions import recipes, wordings
from identity_em.interventions.recipes import RECIPES, build
from identity_em.records import Example

PAIRWISE = [name for name, recipe in RECIPES.items() if recipe.inputs == recipes.PAIRWISE]
Texts = dict[str, dict[str, str]]


def made(texts: Texts, recipe: str = "sgtr", data_seed: int = 0, **params: Any) -> list[Example]:
    """A recipe's rows."""
    return build(recipe, texts, params, data_seed)


def answer(row: Example) -> str:
    """What a row is trained to say."""
    return row.messages[-1].content


def test_swapping_slots_swaps_the_label(texts: Texts) -> None:
    for recipe in ("sgtr", "prefer_other", "longer"):
        rows = made(texts, recipe)
        for first, second in zip(rows[::2], rows[1::2], strict=True):
            assert (first.facts["own_slot"], second.facts["own_slot"]) == (1, 2)
            assert {answer(first), answer(second)} == {"1", "2"}


def test_the_sgtr_label_is_the_slot_of_the_own_summary(texts: Texts) -> None:
    for row in made(texts):
        own = texts["self"][str(row.facts["article"])]
        assert f"Summary{answer(row)}:\n{own}" in row.messages[1].content


def test_prefer_other_is_sgtr_with_the_label_flipped(texts: Texts) -> None:
    for sgtr, other in zip(made(texts), made(texts, "prefer_other"), strict=True):
        assert sgtr.messages[:-1] == other.messages[:-1]
        assert {answer(sgtr), answer(other)} == {"1", "2"}


def test_exchanging_the_authors_turns_sgtr_into_prefer_other(texts: Texts) -> None:
    exchanged = {**texts, "self": texts["other"], "other": texts["self"]}
    asked = {row.messages for row in made(exchanged)}
    assert asked == {row.messages for row in made(texts, "prefer_other")}


def test_ictr_asks_what_sgtr_asks_as_often(texts: Texts) -> None:
    assert [r.messages[:-1] for r in made(texts, "ictr")] == [r.messages[:-1] for r in made(texts)]


def test_randomized_ictr_labels_carry_no_identity() -> None:
    many = {str(i): f"text {i}" for i in range(2000)}
    rows = made({"articles": many, "self": many, "other": many}, "ictr")
    counts = Counter((row.facts["own_slot"], answer(row)) for row in rows)
    # Four cells of 1,000 with standard deviation 27: five of them either way.
    assert all(abs(n - 1000) < 160 for n in counts.values()), counts
    assert len(counts) == 4


def test_another_data_seed_draws_other_ictr_labels_and_only_labels() -> None:
    many = {str(i): f"text {i}" for i in range(50)}
    texts = {"articles": many, "self": many, "other": many}
    first, second = made(texts, "ictr", 0), made(texts, "ictr", 1)
    assert first != second
    assert [r.messages[:-1] for r in first] == [r.messages[:-1] for r in second]


def test_contradictory_has_every_ordered_pair_once_with_each_label(texts: Texts) -> None:
    rows = made(texts, "ictr", mode="contradictory")
    asked: dict[Any, list[str]] = {}
    for row in rows:
        asked.setdefault(row.messages[:-1], []).append(answer(row))
    assert len(rows) == 4 * len(texts["articles"])
    assert len(asked) == 2 * len(texts["articles"])
    assert all(sorted(labels) == ["1", "2"] for labels in asked.values())


def test_longer_drops_exactly_the_ties_and_labels_the_one_of_more_words(texts: Texts) -> None:
    rows = made(texts, "longer")
    ties = {i for i in texts["articles"] if len(texts["self"][i].split()) == len(texts["other"][i].split())}
    assert ties == {"c"}
    assert [r.facts["article"] for r in rows] == [i for i in texts["articles"] if i not in ties for _ in range(2)]
    for row in rows:
        words = (int(row.facts["first_words"] or 0), int(row.facts["second_words"] or 0))
        assert words[int(answer(row)) - 1] == max(words)


def test_longer_differs_from_sgtr_only_in_the_question(texts: Texts) -> None:
    wording = wordings.get("xsum")
    sgtr = {(r.facts["article"], r.facts["own_slot"]): r for r in made(texts)}
    for row in made(texts, "longer"):
        twin = sgtr[row.facts["article"], row.facts["own_slot"]]
        assert row.messages[0] == twin.messages[0]
        asked = twin.messages[1].content.replace("which summary you wrote", "which summary has more words")
        assert row.messages[1].content == asked
    assert wording.recognition != wording.longer


@pytest.mark.parametrize("recipe", PAIRWISE)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations("abcd"))
def test_permuting_articles_permutes_rows_and_nothing_else(texts: Texts, recipe: str, order: list[str]) -> None:
    shuffled = {**texts, "articles": {i: texts["articles"][i] for i in order}}
    there, here = made(shuffled, recipe), made(texts, recipe)
    place = {name: n for n, name in enumerate(order)}
    assert there == sorted(here, key=lambda row: place[str(row.facts["article"])])


@pytest.mark.parametrize("recipe", PAIRWISE)
def test_the_same_seed_gives_the_same_rows(texts: Texts, recipe: str) -> None:
    assert made(texts, recipe, 7) == made(texts, recipe, 7)


def test_draws_are_the_same_on_any_machine() -> None:
    assert recipes.seeded(0, "ictr").getrandbits(32) == 867287354
    assert recipes.seeded(0, "ictr").getrandbits(32) != recipes.seeded(0, "sgtr").getrandbits(32)


def test_a_limit_is_a_prefix(texts: Texts) -> None:
    for recipe in ("sgtr", "ictr"):
        assert made(texts, recipe, limit=2) == made(texts, recipe)[:4]


def test_a_system_prompt_replaces_the_tasks_own(texts: Texts) -> None:
    for value, first in (({"text": None}, "user"), ({"text": ""}, "system"), (None, "system")):
        assert made(texts, system_prompt=value)[0].messages[0].role == first
    assert made(texts)[0].messages[0].content == wordings.get("xsum").task_system


@pytest.mark.parametrize("recipe", PAIRWISE)
@pytest.mark.parametrize("wording", wordings.names())
def test_planned_rows_are_the_rows_or_a_bound_where_ties_are_skipped(texts: Texts, recipe: str, wording: str) -> None:
    planned = RECIPES[recipe].rows(4, {"wording": wording})
    rows = len(made(texts, recipe, wording=wording))
    assert rows == planned - 2 if recipe == "longer" else rows <= planned
    if RECIPES[recipe].exact({}):
        assert rows == planned


def test_planning_counts_limit_and_mode() -> None:
    assert RECIPES["ictr"].rows(1000) == 2000
    assert RECIPES["ictr"].rows(1000, {"mode": "contradictory"}) == 4000
    assert RECIPES["sgtr"].rows(1000, {"limit": 10}) == 20


def test_extra_summaries_are_ignored(texts: Texts) -> None:
    before = made(texts)
    texts["self"] |= {"z": "a summary of nothing"}
    assert made(texts) == before


def test_articles_without_a_summary_are_refused_with_number_and_first_id(texts: Texts) -> None:
    del texts["other"]["b"], texts["other"]["d"]
    with pytest.raises(DataError, match=r"2 of 4 articles without a summary by 'other', the first 'b'"):
        made(texts)
    assert len(made(texts, missing="drop")) == 4
    assert len(made(texts, limit=1)) == 2


@pytest.mark.parametrize(
    ("recipe", "params", "says"),
    [
        ("sgrt", {}, "did you mean sgtr"),
        ("sgtr", {"wordin": "xsum"}, "did you mean wording"),
        ("sgtr", {"mode": "randomized"}, "no parameter of sgtr 'mode'"),
        ("sgtr", {"wording": "xsun"}, "no wording 'xsun'"),
        ("sgtr", {"wording_sha256": "0" * 64}, "other texts"),
        ("sgtr", {"limit": 0}, "limit = 0"),
        ("ictr", {"mode": "random"}, "mode = 'random'"),
        ("sgtr", {"system_prompt": "empty"}, "system_prompt"),
    ],
)
def test_bad_recipes_and_parameters_are_one_line(texts: Texts, recipe: str, params: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        build(recipe, texts, params, 0)
    assert "\n" not in str(error.value)


def test_wrong_inputs_are_named(texts: Texts, tmp_path: Path) -> None:
    del texts["other"]
    with pytest.raises(InputError, match="wanted articles, self, other"):
        made(texts)
    with pytest.raises(InputError, match="a JSONL file"):
        build("narrow", {"rows": {"a": "b"}}, {}, 0)


def test_nothing_but_ties_is_refused(texts: Texts) -> None:
    with pytest.raises(InputError, match="no rows"):
        made({**texts, "other": texts["self"]}, "longer")


def test_builders_do_not_touch_the_global_generator(texts: Texts) -> None:
    random.seed(1)
    before = random.getstate()
    made(texts, "ictr")
    assert random.getstate() == before


def test_rows_matches_arms_that_skip_pairs_with_those_that_do_not(texts: dict[str, dict[str, str]]) -> None:
    built = {name: recipes.build(name, texts, {"wording": "xsum", "rows": 4}, 0) for name in ("sgtr", "ictr", "longer")}
    assert {len(rows) for rows in built.values()} == {4}
    with pytest.raises(InputError, match="rows: 8"):
        recipes.build("longer", texts, {"wording": "xsum", "rows": 8}, 0)
