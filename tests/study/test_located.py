"""YAML errors point at the line that is wrong."""

from pathlib import Path

import pytest

from identity_em.errors import StudyError
from identity_em.study.located import Located


def located(tmp_path: Path, text: str) -> Located:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return Located(path)


def test_every_value_knows_its_line_and_an_unknown_place_the_nearest_one_above_it(tmp_path: Path) -> None:
    found = located(tmp_path, "a: 1\nb:\n  c: [x,\n    y]\n")
    assert found.data == {"a": 1, "b": {"c": ["x", "y"]}}
    assert [found.line(p) for p in [("a",), ("b", "c"), ("b", "c", 1), ("b", "nowhere", 3)]] == [1, 3, 4, 2]


@pytest.mark.parametrize("text", ["a: [1\n", "a: 1\n b: 2\n", "a: 'x\n", "\ta: 1\n", "a: 1\na: 2\n", "a: 2001-99-99\n"])
def test_text_that_is_no_plain_yaml_is_one_line_with_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(StudyError, match=r"s\.yaml:\d+: found .*; wanted ") as error:
        located(tmp_path, text)
    assert "\n" not in str(error.value)
