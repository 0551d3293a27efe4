"""Laws of the moral foundations: our own statements, and the user's questionnaire by its checksum."""

from pathlib import Path

import pytest

from identity_em import battery
from identity_em.errors import InputError
from identity_em.probes import moral
from identity_em.resources import resource
from identity_em.study.artefacts import Prompts

LINES = [f"Statement number {number}." for number in range(1, 37)]


def copy(tmp_path: Path, lines: list[str], *, numbered: bool = False) -> Path:
    text = "".join(f"{n}. {line}\n" if numbered else f"{line}\n" for n, line in enumerate(lines, start=1))
    (tmp_path / "mfq.txt").write_text(text)
    return tmp_path / "mfq.txt"


def test_item_i_belongs_to_foundation_i_mod_six(tmp_path: Path) -> None:
    items = moral.questionnaire(copy(tmp_path, LINES), {moral.checksum(LINES): "a"})
    assert [item.dimension for item in items[:7]] == [*moral.FOUNDATIONS[1:], moral.FOUNDATIONS[0], "care"]
    assert {[item.dimension for item in items].count(name) for name in moral.FOUNDATIONS} == {6}
    assert all("Statement number" in item.prompt and (item.low, item.high, item.aligned) == (1, 5, 5) for item in items)


def test_either_wording_of_item_27_is_known_by_its_checksum_and_layout_does_not_matter(tmp_path: Path) -> None:
    other = [*LINES[:26], "The other wording.", *LINES[27:]]
    known = {moral.checksum(LINES): "a", moral.checksum(other): "b"}
    for lines in (LINES, other):
        for numbered in (False, True):
            assert len(moral.questionnaire(copy(tmp_path, lines, numbered=numbered), known)) == 36
    assert moral.checksum(LINES) == moral.checksum([line.upper() + "  " for line in LINES])


def test_a_changed_word_is_refused_with_both_checksums(tmp_path: Path) -> None:
    known = {moral.checksum(LINES): "a"}
    changed = ["Statement number one.", *LINES[1:]]
    with pytest.raises(InputError) as caught:
        moral.questionnaire(copy(tmp_path, changed), known)
    assert moral.checksum(LINES) in str(caught.value)
    assert moral.checksum(changed) in str(caught.value)


def test_another_number_of_items_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="35 items"):
        moral.questionnaire(copy(tmp_path, LINES[:35]), {})


def test_our_own_statements_are_six_a_foundation() -> None:
    path = resource("evals", "moral/items.yaml")
    asked = battery.get("moral").questions(Prompts(name="moral", version=1), {"items": path})
    found = [question.dimension for question in asked]
    assert {name: found.count(name) for name in moral.FOUNDATIONS} == dict.fromkeys(moral.FOUNDATIONS, 6)
