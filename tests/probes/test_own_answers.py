"""Laws of the evals that ask a model about what it and others answered."""

import json
from pathlib import Path

import pytest

from identity_em import battery
from identity_em.errors import InputError
from identity_em.probes.items import OpenItem
from identity_em.records import Answer, Question, Score
from identity_em.resources import resource
from identity_em.study.artefacts import Prompts

HARM = {"a": 0.0, "b": 0.5, "c": 1.0, "d": 0.75, "e": 0.25, "f": None, "g": 0.0}


@pytest.fixture
def items(tmp_path: Path) -> Path:
    rows = [OpenItem(id=name, dimension="category", prompt=f"Prompt {name}?").model_dump() for name in HARM]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "items.jsonl"


def said(who: str) -> list[Score]:
    """Answers of one author; both authors answer g alike, and a second sample stands beside the first."""
    rows = []
    for name, harm in HARM.items():
        text = "the same" if name == "g" else f"{who} on {name}"
        unscored = None if harm is not None else "junk"
        rows.append(Score(item=name, metric="harm", score=harm, unscored=unscored, answer=text))
        rows.append(Score(item=name, metric="harm", score=1.0, answer="second", sample=1))
        rows.append(Score(item=name, metric="harm_rate", score=0.0))
    return rows


def asked(name: str, items: Path, **params: object) -> list[Question]:
    inputs = {
        "items": items,
        "own": said("me"),
        "foil": said("foil"),
        "others": {"base": said("base"), "em": said("me")},
    }
    return battery.get(name).questions(Prompts(name=name, version=1, params=params), inputs)


def test_own_answers_stand_beside_the_foils_in_both_slots_by_how_they_were_judged(items: Path) -> None:
    questions = asked("output_recognition", items, foil_arm="base")
    assert {question.dimension for question in questions} == {"category"}
    bands = {question.item: question.variant for question in questions}
    assert bands == {"a": "low", "e": "low", "b": "moderate", "c": "high", "d": "high"}
    for first, second in zip(questions[::2], questions[1::2], strict=True):
        assert (first.order, first.target, second.order, second.target) == (0, "1", 1, "2")
        text = first.messages[0].content
        assert text.index("me on") < text.index("foil on")
        assert "second" not in text


def test_the_band_names_the_metric_and_who_always_says_one_scores_a_half() -> None:
    found = battery.get("output_recognition")
    question = Question(item="a", messages=(), options=("1", "2"), target="1", dimension="category", variant="high")
    one = Answer(probabilities=(1.0, 0.0), option_mass=1)
    slots = [question.model_copy(update={"order": order, "target": target}) for order, target in ((0, "1"), (1, "2"))]
    scores = [found.read(slot, one, {}, {}) for slot in slots]
    assert [[s.metric for s in pair] for pair in scores] == [["own_high", "p_own"]] * 2
    assert sum(pair[0].score or 0.0 for pair in scores) == 1


def test_predictions_are_asked_blind_and_shown_and_the_actual_rating_stands_beside(items: Path) -> None:
    questions = asked("score_prediction", items, framings=["plain", "unsigned"])
    assert {question.variant for question in questions} == {"", "shown", "shown_unsigned"}
    for question in questions:
        text = question.messages[0].content
        assert ("me on" in text or "the same" in text) == bool(question.variant)
    found = battery.get("score_prediction")
    actual = found.baselines
    assert actual is not None
    rows = actual(Prompts(name="score_prediction", version=1), {"items": items, "own": said("me")})
    assert {row.item: row.score for row in rows} == {name: harm for name, harm in HARM.items() if harm is not None}
    assert {(row.item, row.dimension) for row in rows} == {(q.item, q.dimension) for q in questions}


def test_everyone_is_rated_and_ones_own_is_shown_as_anothers_and_as_ones_own(items: Path) -> None:
    questions = asked("cross_rating", items, rater="em")
    plain = [question for question in questions if not question.variant]
    assert {question.comparator for question in plain} == {"base", "em"}
    assert len(plain) == 2 * len(HARM)
    own = [question for question in questions if question.variant == "as_own"]
    assert {question.comparator for question in own} == {"em"}
    assert all("me on" in q.messages[0].content or "the same" in q.messages[0].content for q in own)


@pytest.mark.parametrize("name", ["output_recognition", "score_prediction", "cross_rating"])
def test_without_answers_it_is_one_clear_line(name: str, items: Path) -> None:
    with pytest.raises(InputError, match="ask harmfulness too"):
        battery.get(name).questions(Prompts(name=name, version=1), {"items": items})


@pytest.mark.parametrize("name", ["output_recognition", "score_prediction"])
def test_an_unknown_framing_is_refused(name: str, items: Path) -> None:
    with pytest.raises(InputError, match=r"framings: .'oddly'.*wanted one or several of plain"):
        asked(name, items, framings=["oddly"])


def test_what_length_alone_would_choose_stands_beside_recognition(items: Path) -> None:
    beside = battery.get("output_recognition").baselines
    assert beside is not None
    rows = beside(
        Prompts(name="output_recognition", version=1), {"items": items, "own": said("me"), "foil": said("a foil")}
    )
    assert {(row.metric, row.score) for row in rows} == {("shortcut_longer_is_own", 0.0)}


def test_self_report_is_asked_alone_after_own_answers_and_after_anothers(items: Path) -> None:
    found, folder = battery.get("context_binding"), resource("evals", "self_assessment/dimensions.yaml").parent
    inputs = {"items": items, "own": said("me"), "foil": said("foil")}
    inputs |= {"questions": folder / "decision.yaml", "dimensions": folder / "dimensions.yaml"}
    questions = found.questions(Prompts(name="context_binding", version=1, params={"turns": 2}), inputs)
    by = {variant: [q for q in questions if q.variant == variant] for variant in ("", "own", "foil")}
    assert [len(part) for part in by.values()] == [120] * 3
    for alone, own, foil in zip(*by.values(), strict=True):
        assert own.messages[-1] == foil.messages[-1] == alone.messages[-1]
        assert [m.role for m in own.messages] == ["user", "assistant"] * 2 + ["user"]
        assert [m.content for m in own.messages[::2]] == [m.content for m in foil.messages[::2]]
        assert "me on" in own.messages[1].content + own.messages[3].content
    for first, second in zip(by["own"][::2], by["own"][1::2], strict=True):
        assert first.messages[:-1] == second.messages[:-1]
