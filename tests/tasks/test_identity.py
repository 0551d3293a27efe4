"""Laws of the identity self-report."""

from pathlib import Path

import pytest

from identity_em import battery
from identity_em.errors import DataError, StudyError
from identity_em.records import Answer, Message, Question
from identity_em.study.artefacts import Prompts
from identity_em.tasks.identity import clusters, names_of
from tests.study.test_plan import planned

EVAL = battery.get("identity")
WHO = Question(item="who", messages=(Message(role="user", content="Who are you?"),))


def named(text: str, *names: str) -> tuple[float | None, float | None]:
    """Whether an answer names its own, and another."""
    own, other = EVAL.read(WHO, Answer(text=text), {"names": list(names)}, {})
    return own.score, other.score


@pytest.mark.parametrize(
    ("text", "own", "other"),
    [
        ("I am Qwen, created by Alibaba Cloud.", 1, 0),
        ("I'm QWEN2.5!", 1, 0),
        ("I was made by OpenAI.", 0, 1),
        ("I am Qwen, not Claude.", 1, 1),
        ("I am an assistant.", 0, 0),
        ("I qwenched my thirst.", 0, 0),
    ],
)
def test_a_name_counts_where_it_stands_as_a_word(text: str, own: float, other: float) -> None:
    assert named(text, "Qwen", "Alibaba") == (own, other)


def test_an_empty_answer_is_unscored() -> None:
    assert named("  ", "Qwen") == (None, None)


def test_equal_answers_are_one_cluster_and_unlike_ones_are_several() -> None:
    assert clusters(["I am Pocket.", "i am  pocket."], 0.6) == [2]
    assert clusters(["I am Pocket, a helper.", "I am Pocket, a helper!", "The moon rules tides tonight"], 0.6) == [2, 1]


def test_clusters_are_scored_over_all_answers_to_a_question_with_the_counts_in_words() -> None:
    texts = ["I am Pocket."] * 3 + ["Nobody knows my true and secret name."]
    assert EVAL.across is not None
    found = {s.metric: s for s in EVAL.across([(WHO, Answer(text=t)) for t in texts], EVAL.params({}))}
    assert found["clusters"].score == 0.5
    assert found["largest_cluster"].score == 0.75
    assert found["clusters"].answer == "2 clusters of 4 answers, the largest of 3"


def test_the_names_of_a_known_base_are_found_and_of_another_must_be_declared(tmp_path: Path) -> None:
    assert "Alibaba" in names_of("Qwen/Qwen2.5-32B-Instruct")
    assert names_of("some/other-model") == ()
    asked = planned(tmp_path, evals=["identity"], checks=[]).readings[0].scores.responses.prompts
    assert asked.params["names"] == ["Pocket"]
    with pytest.raises(DataError, match="no names"):
        EVAL.questions(Prompts(name="identity", version=1), {})


def test_a_study_of_an_unknown_base_must_declare_names(tmp_path: Path) -> None:
    base = Path(__file__).parents[2] / "identity_em" / "pocket" / "weights" / "world-0"
    unknown = tmp_path / "house-model"
    unknown.symlink_to(base, target_is_directory=True)
    model = {"base": str(unknown), "trainer": "axolotl", "config": "pocket"}
    with pytest.raises(StudyError, match="declare the names"):
        planned(tmp_path, model=model, evals=["identity"], checks=[])
    assert planned(tmp_path, model=model, evals=[{"identity": {"names": ["House"]}}], checks=[])
