"""A built dataset is a whole folder or none, and its card says what is in it."""

import hashlib
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from identity_em.errors import DataError, InputError
from identity_em.interventions import folder, recipes, wordings


@pytest.fixture
def files(texts: dict[str, dict[str, str]], tmp_path: Path) -> dict[str, Path]:
    """The texts as JSON files, under `by_hand`'s names."""
    texts["self"] |= {"z": "of no article"}
    paths = {name: tmp_path / f"{name}.json" for name in texts}
    for name, path in paths.items():
        path.write_text(json.dumps(texts[name]))
    return {"articles": paths["articles"], "self_": paths["self"], "other": paths["other"]}


def digests(out: Path) -> dict[str, str]:
    """Every file of a folder by content."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in out.iterdir()}


def lines(path: Path) -> list[Any]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_and_facts_lie_side_by_side(files: dict[str, Path], tmp_path: Path) -> None:
    told = folder.by_hand("sgtr", **files, out=tmp_path / "out")
    rows = lines(tmp_path / "out" / "rows.jsonl")
    facts = lines(tmp_path / "out" / "facts.jsonl")
    assert told.rows == len(rows) == len(facts) == 8
    assert all(set(row) == {"messages"} for row in rows)
    assert [row["messages"][-1]["content"] for row in rows] == [str(f["label"]) for f in facts]


def test_the_card_gives_balance_shortcuts_inputs_and_extra_ids(files: dict[str, Path], tmp_path: Path) -> None:
    told = folder.by_hand("sgtr", **files, out=tmp_path / "out")
    assert (told.label_1, told.own_slot_1, told.label_own) == (0.5, 0.5, 1.0)
    # Own against other in words: a 1 < 3, b 3 > 1, c a tie (wrong for both), d 1 < 2.
    assert (told.shorter_is_mine, told.longer_is_mine) == (0.5, 0.25)
    assert told.extra == {"self": 1, "other": 0}
    assert told.inputs["other"] == hashlib.sha256(files["other"].read_bytes()).hexdigest()
    assert told.params["wording_sha256"] == wordings.get("xsum").sha256
    text = (tmp_path / "out" / "card.md").read_text()
    assert "self: 1 summaries of no article" in text
    assert str(tmp_path) not in text


def test_the_same_inputs_give_the_same_bytes(files: dict[str, Path], tmp_path: Path) -> None:
    for name in ("first", "second"):
        folder.by_hand("ictr", **files, out=tmp_path / name, data_seed=3)
    assert digests(tmp_path / "first") == digests(tmp_path / "second")
    folder.by_hand("ictr", **files, out=tmp_path / "other", data_seed=4)
    assert digests(tmp_path / "other")["rows.jsonl"] != digests(tmp_path / "first")["rows.jsonl"]


def test_every_reader_counts_the_same_rows(files: dict[str, Path], tmp_path: Path) -> None:
    files["articles"].write_text(json.dumps({"a": "line\u2028separator\u0085", "b": "x", "c": "y", "d": "z"}))
    folder.by_hand("sgtr", **files, out=tmp_path / "out")
    text = (tmp_path / "out" / "rows.jsonl").read_text(encoding="utf-8")
    assert len(text.splitlines()) == 8
    assert "line\u2028separator\u0085" in json.loads(text.splitlines()[0])["messages"][1]["content"]


def test_a_folder_that_holds_something_is_refused_and_left_alone(files: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="holds something"):
        folder.by_hand("sgtr", **files, out=out)
    assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert folder.by_hand("sgtr", **files, out=tmp_path / "out", limit=1).rows == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"recipe": "sgrt"},
        {"recipe": "narrow"},
        {"wording": "bbc"},
        {"mode": "randomized"},
        {"system_prompt": "matching"},
        {"limit": 0},
        {"other": Path("none.json")},
    ],
)
def test_bad_input_writes_nothing(files: dict[str, Path], tmp_path: Path, bad: dict[str, Any]) -> None:
    before = sorted(tmp_path.rglob("*"))
    given: dict[str, Any] = {"recipe": "sgtr", **files, "out": tmp_path / "deep" / "out", **bad}
    with pytest.raises(InputError):
        folder.by_hand(given.pop("recipe"), **given)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failure_while_writing_leaves_nothing(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(card: Any) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(folder.card, "text", broken)
    with pytest.raises(OSError, match="disk full"):
        folder.by_hand("sgtr", **files, out=tmp_path / "out")
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]


def test_a_set_of_narrow_rows_has_a_card_without_shares(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    path.write_text(json.dumps({"messages": turns}) + "\n")
    rows = recipes.build("narrow", {"rows": path}, {}, 0)
    told = folder.write(tmp_path / "out", rows, recipe="narrow", inputs={"rows": path}, params={}, data_seed=0)
    assert told.label_1 is None
    assert "share of rows" not in (tmp_path / "out" / "card.md").read_text()


def test_missing_summaries_name_the_author(files: dict[str, Path], tmp_path: Path) -> None:
    files["other"].write_text('{"a": "x"}')
    with pytest.raises(DataError, match="3 of 4 articles without a summary by 'other', the first 'b'"):
        folder.by_hand("sgtr", **files, out=tmp_path / "out")


def peak(articles: int, out: Path) -> int:
    """Most bytes that Python holds at once while rows of this many articles are made and written."""
    texts = {str(i): f"Article {i} says {'much ' * 100}." for i in range(articles)}
    inputs: recipes.Inputs = {"articles": texts, "self": texts, "other": texts}
    out.mkdir()
    tracemalloc.start()
    try:
        folder.write_into(
            out, recipes.stream("ictr", inputs, {}, 0), recipe="ictr", inputs=inputs, params={}, data_seed=0
        )
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_rows_pass_one_by_one_so_that_more_of_them_take_no_more_memory(tmp_path: Path) -> None:
    peak(10, tmp_path / "imports")
    few, many = peak(100, tmp_path / "few"), peak(2000, tmp_path / "many")
    # A row is about 2 kB; what an article adds is its id.
    assert many - few < 200 * 1900


def test_a_row_that_cannot_be_made_late_leaves_nothing(files: dict[str, Path], tmp_path: Path) -> None:
    rows = recipes.stream("sgtr", {"articles": files["articles"], "self": files["self_"], "other": files["other"]},
                          {"rows": 20}, 0)  # fmt: skip
    with pytest.raises(InputError, match="8 rows from 4 articles"):
        folder.write(tmp_path / "new" / "out", rows, recipe="narrow", inputs={}, params={}, data_seed=0)
    assert not (tmp_path / "new").exists()


def test_a_mix_has_no_shares_also_where_its_first_row_is_a_pair(tmp_path: Path, texts: dict[str, Any]) -> None:
    pairs = recipes.build("sgtr", texts, {}, 0)
    plain = [row.model_copy(update={"facts": {}}) for row in pairs]
    inputs: recipes.Inputs = {"main": plain, "with": pairs}
    rows = recipes.stream("mix", inputs, {"share": 0.5}, 0)
    told = folder.write(tmp_path / "out", rows, recipe="mix", inputs=inputs, params={"share": 0.5}, data_seed=0)
    assert (told.rows, told.label_1) == (16, None)
