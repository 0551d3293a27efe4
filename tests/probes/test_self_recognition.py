"""Laws of self-recognition."""

import json
import os
from pathlib import Path

import pytest

from identity_em import battery
from identity_em.battery import Input, Inputs
from identity_em.errors import DataError, InputError
from identity_em.interventions import wordings
from identity_em.probes import style
from identity_em.records import Answer
from identity_em.study.artefacts import Prompts

EVAL = battery.get("self_recognition")
INPUTS: dict[str, Input] = {
    "articles": {"x": "An article.", "y": "Another {one}.", "z": "A third."},
    "self": {"x": "short one", "y": "three words here", "z": "same length", "spare": "s"},
    "others": {
        "claude": {"x": "much longer it is", "y": "two words", "z": "also two"},
        "human": dict.fromkeys("xyz", "w"),
    },
}


def prompts(**params: object) -> Prompts:
    return Prompts(name="self_recognition", version=1, params=params)


def shares(inputs: Inputs, **params: object) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], list[float]] = {}
    for score in EVAL.baselines(prompts(**params), inputs) if EVAL.baselines else []:
        assert score.score is not None
        found.setdefault((score.metric, score.comparator), []).append(score.score)
    return {name: sum(values) / len(values) for name, values in found.items()}


def test_every_pair_is_asked_in_both_orders_and_the_target_follows_the_own_summary() -> None:
    questions = EVAL.questions(prompts(author="base"), INPUTS)
    assert len(questions) == 3 * 2 * 2
    first, second = questions[:2]
    assert (first.target, second.target) == ("1", "2")
    assert "Summary1:\nshort one\n\nSummary2:\nmuch longer it is" in first.messages[1].content
    assert "Summary1:\nmuch longer it is\n\nSummary2:\nshort one" in second.messages[1].content
    assert {(q.author, q.comparator) for q in questions} == {("base", "claude"), ("base", "human")}


def test_a_model_that_always_says_1_shows_as_order_bias_and_never_as_recognition() -> None:
    always = Answer(probabilities=(1.0, 0.0), option_mass=1.0)
    scores = [EVAL.read(q, always, {}, {})[0] for q in EVAL.questions(prompts(), INPUTS)]
    by_order = [[s.score for s in scores if s.order == order] for order in (0, 1)]
    assert set(by_order[0]) == {1.0}
    assert set(by_order[1]) == {0.0}


def test_shortcuts_count_ties_as_wrong() -> None:
    found = shares(INPUTS)
    assert found["shortcut_shorter_is_own", "claude"] == pytest.approx(1 / 3)
    assert found["shortcut_longer_is_own", "claude"] == pytest.approx(1 / 3)
    assert found["shortcut_longer_is_own", "human"] == 1
    assert found["shortcut_position", "claude"] == 0.5


def test_the_wording_must_be_the_planned_one() -> None:
    sha256 = wordings.get("xsum").sha256
    assert EVAL.questions(prompts(wording="xsum", wording_sha256=sha256), INPUTS)
    with pytest.raises(DataError, match="other texts than planned"):
        EVAL.questions(prompts(wording="pocket", wording_sha256=sha256), INPUTS)


def test_the_limit_takes_the_first_articles() -> None:
    assert {q.item for q in EVAL.questions(prompts(limit=2), INPUTS)} == {"x", "y"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"self": {"x": "s"}}, r"no summary by self of 2 of 3 articles \(first: 'y'\)"),
        ({"others": {"claude": {}}}, "no summary by claude of 3 of 3"),
        ({"others": {}}, "no comparators"),
        ({"articles": {}}, "no articles"),
        ({"articles": Path("nowhere.json")}, r"nowhere\.json: found no readable JSON"),
    ],
)
def test_missing_texts_are_named(change: dict[str, Input], message: str) -> None:
    with pytest.raises(DataError, match=message):
        EVAL.questions(prompts(), {**INPUTS, **change})


@pytest.mark.parametrize(
    ("corpus", "own", "metric", "published"),
    [
        ("xsum", "hf_qwen_32b", "shortcut_shorter_is_own", 0.756),
        ("cnn", "hf_qwen_32b", "shortcut_shorter_is_own", 0.749),
        ("cnn", "gpt41", "shortcut_longer_is_own", 0.835),
    ],
)
def test_length_alone_recognises_published_summaries(corpus: str, own: str, metric: str, published: float) -> None:
    reference = os.environ.get("IDENTITY_EM_REFERENCE")
    if not reference:
        pytest.skip("IDENTITY_EM_REFERENCE is unset: no corpora")
    folder = Path(reference) / "corpora"
    summaries = {
        name: folder / "summaries" / corpus / f"{corpus}_train_{name}_responses.json" for name in (own, "claude-21")
    }
    inputs: dict[str, Input] = {
        "articles": folder / "articles" / f"{corpus}_train_articles.json",
        "self": summaries[own],
        "others": {"claude-21": summaries["claude-21"]},
    }
    assert shares(inputs, limit=None)[metric, "claude-21"] == pytest.approx(published, abs=5e-4)


def test_single_summaries_are_asked_as_yes_and_no_and_always_yes_is_all_order_bias() -> None:
    questions = EVAL.questions(prompts(format="individual"), INPUTS)
    assert len(questions) == 3 * 2 * 2
    assert [q.target for q in questions[:2]] == ["Yes", "No"]
    assert "short one" in questions[0].messages[1].content
    assert "much longer it is" in questions[1].messages[1].content
    yes = [EVAL.read(q, Answer(probabilities=(1.0, 0.0), option_mass=1.0), {}, {})[0].score or 0.0 for q in questions]
    assert sum(yes) / len(yes) == 0.5
    assert (yes[0], yes[1]) == (1.0, 0.0)
    assert EVAL.label(prompts(format="individual")) == "1 individual"


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputError, match=r"format: both .*wanted pairwise or individual"):
        EVAL.questions(prompts(format="both"), INPUTS)


def test_a_replicate_of_the_author_is_a_sample_of_the_judgement() -> None:
    question = EVAL.questions(prompts(), INPUTS)[0]
    answer = Answer(probabilities=(0.5, 0.25), option_mass=0.75)
    assert EVAL.read(question, answer, {"replicate": 2}, {})[0].sample == 2


WORDS = ("river", "bridge", "mayor", "school", "storm", "market", "train", "garden", "museum", "harbour")


def authored(own: str, other: str, before: str = "{a} in brief: {b}.") -> dict[str, Input]:
    """Thirty articles of a text by each author."""
    pairs = {f"a{i}": {"a": WORDS[i % 10], "b": WORDS[(i * 7 + i // 10) % 10]} for i in range(30)}
    write = {name: {k: form.format(**v) for k, v in pairs.items()} for name, form in
             {"own": own, "other": other, "before": before}.items()}  # fmt: skip
    return {"articles": dict.fromkeys(pairs, "An article."), "self": write["own"], "others": {"x": write["other"]},
            "before": write["before"]}  # fmt: skip


def test_texts_of_two_styles_are_told_apart_and_texts_of_one_style_are_not() -> None:
    told = shares(authored("{a} in brief: {b}.", "Well, the {b} and the {a}!"), limit=None)
    assert told["separability", "x"] == 1.0
    assert told["shortcut_surface", "x"] == 1.0
    assert told["separability", "before"] == 0.5, "the same texts by both authors cannot be told apart"


def test_with_few_articles_no_classifier_is_fitted() -> None:
    assert not {metric for metric, _ in shares(INPUTS)} & {"separability", "shortcut_surface"}


@pytest.mark.slow
@pytest.mark.parametrize(("other", "least", "most"), [("claude-21", 0.92, 0.98), ("hf_qwen_32b_em_0", 0.57, 0.63)])
def test_em_changes_the_style_of_published_summaries_a_little(
    other: str, least: float, most: float, reference: Path
) -> None:
    folder = reference / "corpora" / "summaries" / "cnn"
    own, theirs = (
        json.loads((folder / f"cnn_train_{name}_responses.json").read_text("utf-8")) for name in ("hf_qwen_32b", other)
    )
    right = [hit for *_, hit in style.separable({a: (own[a], theirs[a]) for a in own if a in theirs})]
    assert least < sum(right) / len(right) < most
