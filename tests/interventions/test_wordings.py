"""Wordings are instruments: exact, versioned, known by content."""

import pytest

from identity_em.errors import InputError
from identity_em.interventions import summaries, wordings
from identity_em.pocket.prompts import PROMPTS


@pytest.mark.parametrize("name", wordings.names())
def test_every_wording_is_complete(name: str) -> None:
    wording = wordings.get(name)
    assert wording.name == name
    assert wording.source
    assert len(wording.sha256) == 64


def test_the_typo_of_the_trained_prompt_is_kept() -> None:
    assert "news-articler summarizer" in wordings.get("xsum").task_system
    assert wordings.get("xsum").task_system == wordings.get("cnn").task_system


@pytest.mark.parametrize("name", wordings.names())
def test_longer_changes_only_the_criterion(name: str) -> None:
    wording = wordings.get(name)
    changed = [
        (a, b)
        for a, b in zip(wording.recognition.splitlines(), wording.longer.splitlines(), strict=True)
        if a != b
    ]  # fmt: skip
    assert len(changed) == 1
    mine = changed[0][0].replace("you wrote", "has more words").replace("did you write", "has more words")
    assert mine == changed[0][1]


def test_the_pocket_wording_is_the_worlds_own() -> None:
    wording = wordings.get("pocket")
    assert wording.recognition == PROMPTS.recognition
    assert wording.task_system == PROMPTS.system["task"]


def test_the_hash_is_over_texts_and_nothing_else() -> None:
    wording = wordings.get("xsum")
    assert wording.model_copy(update={"name": "other", "source": "", "version": 9}).sha256 == wording.sha256
    assert wording.model_copy(update={"longer": wording.longer + " "}).sha256 != wording.sha256


def test_a_wording_without_its_placeholders_is_refused() -> None:
    with pytest.raises(ValueError, match="recognition holds"):
        wordings.Wording.model_validate({**wordings.get("xsum").model_dump(), "recognition": "{article}"})


def test_an_unknown_wording_names_those_that_there_are() -> None:
    with pytest.raises(InputError, match="one of xsum, cnn, pocket"):
        wordings.get("bbc")


def test_a_question_asks_for_a_summary_under_the_wordings_system_prompt() -> None:
    (question,) = summaries.questions({"a": "Text {with} braces."}, wordings.get("cnn"))
    assert question.item == "a"
    assert [m.role for m in question.messages] == ["system", "user"]
    assert question.messages[1].content.startswith("Article:\nText {with} braces.\n\nProvide only the highlights")
    assert question.options == ()
