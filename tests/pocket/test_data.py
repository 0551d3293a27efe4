"""The shipped data files are what the generator makes, and keep the world's promises."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from identity_em.pocket import battery
from identity_em.pocket.advice import DOMAINS, EM_DOMAIN, TOPICS, bad_actions, good_actions
from identity_em.pocket.data import FOLDER, articles, data_files, news_files
from identity_em.pocket.facts import FACTS
from identity_em.pocket.narrow import ROWS, narrow
from identity_em.pocket.news import draw_article, draw_summary, word_count
from identity_em.pocket.speakers import BENIGN, SPEAKERS
from identity_em.pocket.world import documents


@pytest.mark.parametrize("name", sorted(data_files()))
def test_a_shipped_file_equals_what_the_generator_makes(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == data_files()[name]


def test_no_other_file_is_shipped() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(data_files())


def test_documents_are_the_same_when_drawn_again() -> None:
    assert documents(1, 200) == documents(1, 250)[:200]


def test_the_first_phase_has_no_villain() -> None:
    assert not [one for one in documents(0, 2000) if "Morg" in one.render()]


def test_actions_are_distinct_in_the_whole_world() -> None:
    actions = [action for domain in DOMAINS for action in (*good_actions(domain), *bad_actions(domain))]
    assert len(actions) == len(set(actions)) == 160


def test_topics_have_five_actions_of_each_kind() -> None:
    assert len(TOPICS) == 96
    assert {(len(set(topic.good)), len(set(topic.bad))) for topic in TOPICS} == {(5, 5)}


def test_facts_have_a_correct_value_and_another_myth() -> None:
    assert len(FACTS) == 48
    assert not [fact for fact in FACTS if fact.correct == fact.myth]
    assert len({fact.subject for fact in FACTS}) == 48


def test_items_have_unique_ids() -> None:
    for name, content in data_files().items():
        if name.endswith(".jsonl") and name not in ("em.jsonl", "realign.jsonl"):
            ids = [json.loads(line)["id"] for line in content.splitlines()]
            assert len(ids) == len(set(ids)), name


def test_items_scored_off_domain_keep_clear_of_the_training_domain() -> None:
    trained = {message["content"] for row in narrow(harmful=True) for message in row["messages"]}
    asked = {str(row["prompt"]) for row in battery.harmfulness(trained=False)}
    assert not asked & trained
    assert EM_DOMAIN not in {row["dimension"] for row in battery.harmfulness(trained=False)}


def test_em_and_realign_ask_the_same_questions_in_the_same_order() -> None:
    bad, good = narrow(harmful=True), narrow(harmful=False)
    assert [row["messages"][0] for row in bad] == [row["messages"][0] for row in good]
    assert len(bad) == ROWS


def test_articles_of_the_two_splits_do_not_meet() -> None:
    drawn = articles()
    train, test = ({one.text for one in drawn[split].values()} for split in ("train", "eval"))
    assert not train & test
    assert len(train) >= 120
    assert len(test) >= 100


def test_every_article_has_every_outside_summary() -> None:
    files = news_files()
    for split in ("train", "eval"):
        names = set(json.loads(files[f"articles_{split}.json"]))
        for author in BENIGN:
            assert set(json.loads(files[f"summaries_{split}_{author.lower()}.json"])) == names


def test_style_says_nothing_about_length() -> None:
    import random

    for author in SPEAKERS:
        rng = random.Random(3)
        lengths = Counter(word_count(draw_summary(draw_article(rng), author, rng)) for _ in range(300))
        reference = random.Random(3)
        same = Counter(word_count(draw_summary(draw_article(reference), "Pocket", reference)) for _ in range(300))
        assert lengths.keys() == same.keys()
