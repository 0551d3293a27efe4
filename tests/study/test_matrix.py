"""The recognition matrix as planned: judge by author by comparator, of one seed, nobody against themselves."""

from pathlib import Path

import pytest

from identity_em.errors import StudyError
from identity_em.study.artefacts import Responses, Scores
from tests.study.test_plan import planned

ARMS = [[], ["em"], ["em", "sgtr"]]


def cells(tmp_path: Path, **given: object) -> dict[tuple[str, int | None, str, int], Scores]:
    """The scores planned, by judge, seed, author and replicate."""
    evals = [{"self_recognition": {"corpus": "eval", "limit": 12, **given}}]
    found = planned(tmp_path, evals=evals, arms=ARMS, seeds=[0, 1], contrasts={}, checks=[])
    params = [(r, r.scores.responses.prompts.params) for r in found.readings]
    return {("/".join(r.trained.arm), r.trained.seed, p["author"], p["replicate"]): r.scores for r, p in params}


def own(scores: Scores) -> Responses:
    found = scores.responses.prompts.inputs["self"]
    assert isinstance(found, Responses)
    return found


def test_every_judge_is_asked_about_every_author_of_its_own_seed(tmp_path: Path) -> None:
    found = cells(tmp_path, authors=["base", "current", ["em"], "lumo"], comparators=["lumo", "base"])
    assert {author for judge, seed, author, _ in found if judge == "em/sgtr"} == {"base", "current", "em", "lumo"}
    for seed in (0, 1):
        by_sgtr = own(found["em/sgtr", seed, "em", 0])
        assert by_sgtr == own(found["em", seed, "current", 0])
        assert by_sgtr.checkpoint.seed == seed


def test_the_base_has_no_seed_and_is_asked_about_the_summaries_of_every_seed(tmp_path: Path) -> None:
    found = cells(tmp_path, authors=[["em"]])
    assert [own(found["", None, "em", place]).checkpoint.seed for place in (0, 1)] == [0, 1]


def test_nobody_is_set_against_themselves(tmp_path: Path) -> None:
    found = cells(tmp_path, authors=["base", "lumo"], comparators=["base", "lumo", "current"])
    for (judge, _, author, _), scores in found.items():
        others = {name for name in scores.responses.prompts.inputs if name.startswith("other:")}
        assert f"other:{author}" not in others
        assert ("other:current" in others) == (judge != "" or author != "base")


def test_the_texts_before_go_along_so_that_a_change_of_style_can_be_told_from_a_loss_of_ability(tmp_path: Path) -> None:
    found = cells(tmp_path, authors=["base", "current"])
    assert "before" in found["em", 0, "current", 0].responses.prompts.inputs
    assert "before" not in found["em", 0, "base", 0].responses.prompts.inputs


@pytest.mark.parametrize("authors", [["luna"], [["sgtr"]], [3]])
def test_an_author_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, authors: list[object]) -> None:
    with pytest.raises(StudyError, match=r"unknown author .* wanted one of base, current, \[em\], \[em, sgtr\], lumo"):
        cells(tmp_path, authors=authors)
