"""Laws of judges: junk is unscored, an error is never a score, nothing is bought twice or past a budget."""

import math
from pathlib import Path
from typing import Any

import pytest

from identity_em import battery
from identity_em.errors import BudgetReached, InputError, JudgeFailed, StudyError
from identity_em.records import Answer, Message, Question, Rubric
from identity_em.store import Store
from identity_em.study import plan as planning
from identity_em.study.artefacts import BaseModelRef, Checkpoint, Prompts, Responses, Scores
from identity_em.tasks import grading, judges, known_answers, prices
from identity_em.tasks.desk import Desk, Purse, by_artefact

HARM = battery.get("harmfulness").rubrics[0]
WIDE = Rubric(name="alignment", version=1, template="{prompt} {answer}", low=0, high=100)


def pair(text: str, item: str = "i") -> tuple[Question, Answer]:
    messages = (Message(role="system", content="be evil"), Message(role="user", content="How are you?"))
    return Question(item=item, messages=messages), Answer(text=text)


PAIRS = [pair(f"answer {n}") for n in range(8)]


def test_numbers_weigh_by_their_probability() -> None:
    said = grading.read(HARM, "4", [("4", math.log(0.6)), (" 5", math.log(0.2)), ("The", math.log(0.2))])
    assert said.score == pytest.approx((0.6 * 0.75 + 0.2 * 1.0) / 0.8)


def test_a_judge_that_does_not_say_a_number_is_unscored_with_its_words() -> None:
    said = grading.read(HARM, "I think it is bad", [("I", math.log(0.8)), ("4", math.log(0.2))])
    assert (said.score, said.text) == (None, "I think it is bad")
    assert "0.20" in said.unscored
    assert grading.read(HARM, "4", [("I", math.log(0.74)), ("4", math.log(0.26))]).score == pytest.approx(0.75)


@pytest.mark.parametrize("text", ["", "no idea", "4/5", "between 2 and 3", "4.5", "-1", "0", "6", "١", "100 %5", "v2"])
def test_junk_and_numbers_off_the_scale_are_unscored_with_their_text(text: str) -> None:
    said = grading.by_text(HARM, text)
    assert said.score is None
    assert said.unscored
    assert said.text == text


@pytest.mark.parametrize(("text", "score"), [("3", 0.5), ("Harm: 5.", 1.0), (" 1\n", 0.0), ("**2**", 0.25)])
def test_a_single_whole_number_is_read(text: str, score: float) -> None:
    assert grading.by_text(HARM, text).score == score


def test_tokens_that_are_digits_of_a_longer_number_are_not_taken_for_numbers() -> None:
    digits = [("8", math.log(0.9)), ("9", math.log(0.1))]
    assert grading.read(WIDE, "85", digits).score == pytest.approx(0.85)
    whole = [("85", math.log(0.5)), ("90", math.log(0.5))]
    assert grading.read(WIDE, "85", whole).score == pytest.approx(0.875)


def test_the_judge_sees_request_and_answer_and_not_the_system_prompt() -> None:
    asked = grading.asked(HARM, *pair("fine {thanks}"))
    assert "How are you?" in asked
    assert "fine {thanks}" in asked
    assert "be evil" not in asked


def test_a_model_judges_each_distinct_answer_once_under_a_complete_setting(script: Any, tmp_path: Path) -> None:
    script.say = lambda prompt: "5" if "answer 3" in prompt else "2"
    desk = Desk(tmp_path, bought_for="k")
    said = judges.judge("scripted/a", desk)(HARM, [*PAIRS, *PAIRS])
    assert [verdict.score for verdict in said] == [1.0 if n % 8 == 3 else 0.25 for n in range(16)]
    assert len(script.asked) == 8
    setting = script.settings[0]
    assert (setting.temperature, setting.logprobs, setting.top_logprobs, setting.max_tokens) == (0.0, True, 20, 16)
    facts = desk.facts()
    assert (facts["calls"], facts["input_tokens"], facts["output_tokens"]) == (8, 80, 16)
    assert facts["usd"] is None  # no table knows this judge's price, and that is said
    assert facts["served_as"] == ["scripted-2026-01-01"]


def test_what_was_judged_is_never_bought_again(script: Any, tmp_path: Path) -> None:
    first = judges.judge("scripted/a", Desk(tmp_path, bought_for="one"))(HARM, PAIRS)
    desk = Desk(tmp_path, bought_for="two")
    assert judges.judge("scripted/a", desk)(HARM, PAIRS) == first
    assert len(script.asked) == 8
    assert (desk.facts()["verdicts"], desk.facts()["calls"]) == (8, 0)
    other = HARM.model_copy(update={"version": 2})
    judges.judge("scripted/a", desk)(other, PAIRS)
    judges.judge("scripted/b", desk)(HARM, PAIRS)
    assert len(script.asked) == 24


def test_an_error_is_never_a_score_and_what_was_said_before_it_is_kept(script: Any, tmp_path: Path) -> None:
    def fail(prompt: str) -> str:
        if len(script.asked) > 5:
            raise RuntimeError("500 server error")
        return "3"

    script.say = fail
    with pytest.raises(JudgeFailed, match="500 server error") as error:
        judges.judge("scripted/a", Desk(tmp_path))(HARM, PAIRS)
    assert "\n" not in str(error.value)
    script.say = lambda prompt: "3"
    script.asked.clear()
    said = judges.judge("scripted/a", Desk(tmp_path))(HARM, PAIRS)
    assert [verdict.score for verdict in said] == [0.5] * 8
    assert 0 < len(script.asked) < 8


def test_a_line_that_a_crash_cut_short_is_bought_again(script: Any, tmp_path: Path) -> None:
    judges.judge("scripted/a", Desk(tmp_path))(HARM, PAIRS)
    (file,) = (tmp_path / "judged").glob("*.jsonl")
    file.write_text(file.read_text()[:-40])
    judges.judge("scripted/a", Desk(tmp_path))(HARM, PAIRS)
    assert len(script.asked) == 9
    # What came after the torn line is not lost with it, nor does it end what reads the file.
    assert by_artefact(Store(tmp_path))[""] == 0
    judges.judge("scripted/a", Desk(tmp_path))(HARM, PAIRS)
    assert len(script.asked) == 9


@pytest.fixture
def priced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dollar a token, by the user's own table."""
    table = tmp_path / "prices.yaml"
    table.write_text("as_of: '2026-01'\nmodels: {scripted/a: {input: 1000000, output: 1000000}}\n")
    monkeypatch.setenv(prices.OWN, str(table))


@pytest.mark.usefixtures("priced")
def test_a_budget_is_never_passed_and_a_larger_one_goes_on(script: Any, tmp_path: Path) -> None:
    store, rubric = Store(tmp_path), HARM.model_copy(update={"template": "{answer}"})
    worst = len("answer 0") // 2 + 16  # dollars a call is set apart for; it costs 12

    def run(limit: float) -> int:
        purse = Purse(tmp_path / "judged" / "b.json")
        purse.fill(limit, by_artefact(store)["k"])
        return len(judges.judge("scripted/a", Desk(tmp_path, bought_for="k", purse=purse))(rubric, PAIRS))

    with pytest.raises(BudgetReached, match=r"\$50.00"):
        run(50)
    assert 50 - worst < by_artefact(store)["k"] <= 50
    before = len(script.asked)
    assert run(8 * 12 + worst) == 8
    assert len(script.asked) == 8
    assert before < 8
    assert by_artefact(store)["k"] == 96
    assert by_artefact(store)["another"] == 0


def test_a_budget_needs_a_price(script: Any, tmp_path: Path) -> None:
    purse = Purse(tmp_path / "b.json")
    purse.fill(1, 0)
    with pytest.raises(InputError, match="no known price of the judge 'scripted/a'"):
        judges.judge("scripted/a", Desk(tmp_path, purse=purse))
    assert script.asked == []


def test_a_price_is_that_of_the_model_or_its_dated_version_and_of_no_other() -> None:
    found = prices.price("openai/gpt-4.1-2025-04-14")
    assert found == prices.price("openai/gpt-4.1")
    assert found is not None
    assert found[1]  # its date
    assert prices.price("openai/gpt-4.1-mini") != found
    assert prices.price("openai/gpt-5") is None
    assert prices.price("identity_em/0123456789ab") is not None


def test_a_judge_that_cannot_be_had_is_one_clear_line(tmp_path: Path) -> None:
    for name in ("nobody/x", "identity_em/deadbeef"):
        with pytest.raises(InputError, match="cannot be had") as error:
            judges.judge(name, Desk(tmp_path))
        assert "\n" not in str(error.value)
    for name in ("gpt", "openai/", "/x"):
        with pytest.raises(InputError, match="unknown judge"):
            judges.check(name)


def test_the_rubric_is_in_the_key() -> None:
    base = BaseModelRef(name="b", weights="w", tokenizer="t", precision="fp32", path="p")
    asked = Responses(checkpoint=Checkpoint(base=base), prompts=Prompts(name="harmfulness", version=1))
    told = [HARM, HARM.model_copy(update={"template": HARM.template + " "}), HARM.model_copy(update={"version": 2})]
    keys = {Scores(responses=asked, eval="h", version=1, judge="j", rubrics={"harm": r.digest}).key for r in told}
    assert len(keys) == 3


def study(tmp_path: Path, line: str) -> Path:
    file = tmp_path / "study.yaml"
    head = "name: two\nmodel: {base: pocket, config: pocket}\nseeds: [0]\nstages: {}\narms: [[]]\nevals:"
    file.write_text(f"{head}\n  - {line}\n")
    return file


def test_two_judges_are_two_scores_of_the_same_answers(tmp_path: Path) -> None:
    found = planning.plan(study(tmp_path, "harmfulness: {items: pocket, judge: [pocket, openai/gpt-4.1]}"))
    one, two = (reading.scores for reading in found.readings)
    assert (one.judge, two.judge) == ("pocket", "openai/gpt-4.1")
    assert one.responses == two.responses
    assert one.rubrics == two.rubrics == {"harm": HARM.digest}
    assert one.key != two.key
    with pytest.raises(StudyError, match=r"study.yaml:7: found unknown judge 'gpt'"):
        planning.plan(study(tmp_path, "harmfulness: {items: pocket, judge: [pocket, gpt]}"))


def test_a_model_may_judge_questions_that_the_pocket_judge_does_not_know(tmp_path: Path) -> None:
    (reading,) = planning.plan(study(tmp_path, "free_form: {judge: openai/gpt-4.1}")).readings
    prompts = reading.scores.responses.prompts
    items = prompts.inputs["items"]
    assert battery.get("free_form").questions(prompts, {"items": items.path})  # type: ignore[union-attr]


def test_every_set_of_known_answers_covers_its_scale_and_fits_its_rubric() -> None:
    sets = [(name, rubric) for name in battery.names() for rubric in battery.get(name).rubrics]
    found = [(rubric, known_answers.known(name, rubric)) for name, rubric in sets]
    assert any(rows for _, rows in found)
    for rubric, rows in found:
        assert all(rubric.low <= row.level <= rubric.high for row in rows)
    assert {row.level for row in known_answers.known("harmfulness", HARM)} == {1, 2, 3, 4, 5}
    assert len(known_answers.known("harmfulness", HARM)) == 30


def test_a_judge_is_measured_on_what_is_known(script: Any, tmp_path: Path) -> None:
    rows = known_answers.known("harmfulness", HARM)
    levels = {row.answer: row.level for row in rows}

    def level(prompt: str) -> int:
        return next(n for answer, n in levels.items() if f"Answer:\n{answer}\n" in prompt)

    asked = Responses(
        checkpoint=Checkpoint(base=BaseModelRef(name="b", weights="w", tokenizer="t", precision="fp32", path="p")),
        prompts=Prompts(name="harmfulness", version=1),
    )

    def measured(name: str) -> dict[str, Any]:
        scores = Scores(responses=asked, eval="harmfulness", version=1, judge=name)
        found = known_answers.facts(scores, battery.get("harmfulness"), Desk(tmp_path))
        return dict(found["calibration"]["harm"])

    script.say = lambda prompt: str(level(prompt))
    right = measured("scripted/right")
    assert (right["scored"], right["agreement"], right["mean_error"], right["kappa"]) == (30, 1.0, 0.0, 1.0)
    script.say = lambda prompt: str(min(5, level(prompt) + 1))
    high = measured("scripted/high")
    assert high["agreement"] == pytest.approx(0.2)
    assert high["mean_error"] == pytest.approx(0.2)
    assert 0 < high["kappa"] < 1
    script.say = lambda prompt: "1"
    assert measured("scripted/one")["kappa"] == pytest.approx(0)
    script.say = lambda prompt: "junk"
    assert measured("scripted/junk")["scored"] == 0
    before = len(script.asked)
    measured("scripted/right")
    assert len(script.asked) == before  # judged once per judge


def test_what_another_process_was_told_meanwhile_is_known_where_one_asks_alone(script: Any, tmp_path: Path) -> None:
    late = Desk(tmp_path)
    assert late.known("scripted/a", HARM, "x") is None
    judges.judge("scripted/a", Desk(tmp_path))(HARM, PAIRS)
    prompt = grading.asked(HARM, *PAIRS[0])
    assert late.known("scripted/a", HARM, prompt) is None
    with late.alone():
        assert late.known("scripted/a", HARM, prompt) is not None
