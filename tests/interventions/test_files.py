"""Malformed files: each is one clear line with file and row, and nothing is half read."""

import json
from pathlib import Path
from typing import Any

import pytest

from identity_em.errors import DataError, InputError, MissingEnvironment
from identity_em.interventions import articles, recipes, textfiles
from identity_em.study.artefacts import HubRef, HubRows

GOOD = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
TEXTS = [
    ("a.json", b"", None, "empty file"),
    ("a.json", b" \n ", None, "empty file"),
    ("a.json", b"{}", None, "no rows"),
    ("a.json", b"[]", None, "a list"),
    ("a.json", b'"x"', None, "a str"),
    ("a.json", b'{"a": "x",}', 1, "bad JSON"),
    ("a.json", b'{"a": "x",\n"b": }', 2, "bad JSON"),
    ("a.json", b'{"a": "x", "b": null}', 2, "no text for id 'b'"),
    ("a.json", b'{"a": "x", "b": 3}', 2, "a int as text"),
    ("a.json", b'{"a": "x", "b": ["y"]}', 2, "a list as text"),
    ("a.json", b'{"a": "x", "b": " "}', 2, "an empty text"),
    ("a.json", b'{"a": "x", "": "y"}', 2, "no id"),
    ("a.json", b'{"a": "x", "a": "y"}', None, "the key 'a' twice"),
    ("a.json", b'{"a": NaN}', None, "the number NaN"),
    ("a.json", b'{"a": "\\ud800"}', 1, "surrogate"),
    ("a.json", b'{"a": "x\\u0000y"}', 1, "a NUL character"),
    ("a.json", b'{"a": "x<|im_end|><|im_start|>user"}', 1, "the turn marker '<|im_end|>'"),
    ("a.json", b'{"a": "x"', 1, "bad JSON"),
    ("a.json", b"[" * 100_000, None, "bad JSON"),
    ("a.json", b'\xef\xbb\xbf{"a": "x"}', 1, "byte-order mark"),
    ("a.json", '{"a": "x"}'.encode("utf-16"), 1, "byte-order mark"),
    ("a.json", b'{"a": "x",\n"b": "caf\xe9"}', 2, "not UTF-8"),
    ("a.jsonl", b'{"id": "a", "text": "x"}\nx', 2, "bad JSON"),
    ("a.jsonl", b'{"id": "a", "text": "x"}\n["b", "y"]', 2, "a list"),
    ("a.jsonl", b'{"id": "a", "text": "x"}\n\n{"id": "a", "text": "y"}', 3, "the id 'a' a second time"),
    ("a.jsonl", b'{"id": "a", "body": "x"}', 1, "no text for id 'a'"),
    ("a.jsonl", b'{"text": "x"}', 1, "no id"),
    ("a.jsonl", b'{"id": 7, "text": "x"}', 1, "the id 7"),
    ("a.csv", b"name,text\na,x\n", 1, "the columns name, text"),
    ("a.csv", b"id,text\na,x\nb\n", 3, "fields that do not fit the header"),
    ("a.csv", b"id,text\na,x,y\n", 2, "fields that do not fit the header"),
    ("a.csv", b'id,text\na,"x\n', 2, "bad CSV"),
    ("a.csv", b"id,text\n", None, "no rows"),
    ("a.csv", b"id,text\na,\n", 2, "an empty text"),
    ("a.parquet", b"x", None, "ending in '.parquet'"),
]  # fmt: skip
MESSAGES: list[tuple[Any, str]] = [
    ({}, "no `messages`"),
    ({"messages": None}, "no `messages`"),
    ({"messages": []}, "no `messages`"),
    ({"messages": "Hi"}, "no list"),
    ({"messages": ["Hi", "Ho"]}, "no object"),
    ({"messages": [GOOD["messages"][0], {"role": "assistant", "content": "Hi<end_of_turn>"}]}, "the turn marker"),
    ({"messages": GOOD["messages"][:1]}, "the roles user"),
    ({"messages": GOOD["messages"][::-1]}, "the roles assistant, user"),
    ({"messages": GOOD["messages"] * 2}, "the roles user, assistant, user, assistant"),
    ({"messages": [{"role": "system", "content": "x"}, *GOOD["messages"]]}, "the roles system, user, assistant"),
    ({"messages": [GOOD["messages"][0], {"role": "tool", "content": "x"}]}, "the roles user, tool"),
    ({"messages": [GOOD["messages"][0], {"from": "gpt", "value": "x"}]}, "the roles user, None"),
    ({"messages": [GOOD["messages"][0], {"role": "assistant", "content": None}]}, "no text in the assistant"),
    ({"messages": [GOOD["messages"][0], {"role": "assistant"}]}, "no text in the assistant"),
    ({"messages": [GOOD["messages"][0], {"role": "assistant", "content": "\n"}]}, "no text in the assistant"),
    ({"messages": [GOOD["messages"][0], {"role": "assistant", "content": ["x"]}]}, "no text in the assistant"),
    ({"messages": [GOOD["messages"][0], {"role": "assistant", "content": "x", "weight": 0}]}, "the field 'weight'"),
    ({"messages": [GOOD["messages"][0], {"role": "assistant", "content": "\ud800"}]}, "surrogate"),
]  # fmt: skip


def refused(call: Any, says: str, path: Path, line: int | None) -> None:
    """The call raises one line that names file and row."""
    with pytest.raises(DataError) as error:
        call()
    told = str(error.value)
    assert says in told
    assert "\n" not in told
    assert told.startswith(f"{path}:{line}: " if line else f"{path}: ")


@pytest.mark.parametrize(("name", "content", "line", "says"), TEXTS)
def test_a_malformed_texts_file_is_one_line(
    tmp_path: Path, name: str, content: bytes, line: int | None, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refused(lambda: articles.load_texts(path), says, path, line)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(DataError, match=r"no such file|ending in ''"):
            articles.load_texts(path)


@pytest.mark.parametrize(("row", "says"), MESSAGES)
def test_a_malformed_row_of_messages_is_one_line(tmp_path: Path, row: Any, says: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n" + json.dumps(row) + "\n")
    refused(lambda: recipes.build("narrow", {"rows": path}, {"limit": 1}, 0), says, path, 3)


def test_a_line_that_is_too_long_is_refused_by_its_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textfiles, "MAX_LINE", 50)
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(GOOD) + "\n")
    refused(lambda: recipes.build("narrow", {"rows": path}, {}, 0), "characters", path, 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"b": "x\\ny", "a": "é"}'),
        ("a.jsonl", '{"id": "b", "text": "x\\ny", "more": 1}\r\n\n{"id": "a", "text": "é"}'),
        ("a.csv", 'more,id,text\n1,b,"x\ny"\n2,a,é\n'),
    ],
)
def test_json_jsonl_and_csv_give_the_same_texts_in_their_order(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    assert list(articles.load_texts(path).items()) == [("b", "x\ny"), ("a", "é")]


def test_narrow_rows_keep_order_and_take_the_stages_system_prompt(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(GOOD) for _ in range(3)))
    rows = recipes.build("narrow", {"rows": path}, {"system_prompt": {"text": ""}, "limit": 2}, 0)
    assert [row.facts["row"] for row in rows] == [1, 2]
    assert [m.role for m in rows[0].messages] == ["system", "user", "assistant"]
    assert [m.role for m in recipes.build("narrow", {"rows": path}, {}, 0)[0].messages] == ["user", "assistant"]


class FakeHub:
    """A column store with the part of a Hugging Face dataset that is used."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.column_names = list(rows[0])

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Any:
        return iter(self.rows)

    def select(self, indices: range) -> "FakeHub":
        """The rows at these places."""
        return FakeHub([self.rows[i] for i in indices])


def hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    """`datasets.load_dataset` gives this, or raises it."""
    import datasets

    def load(*args: Any, **kwargs: Any) -> Any:
        assert kwargs == {"split": "train", "revision": "c0ffee"}
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(datasets, "load_dataset", load)


ROWS = HubRows(repo="someone/rows", revision="c0ffee", user="prompt", assistant="aligned")
REF = HubRef(repo="someone/news", revision="c0ffee", text_column="document", limit=2)


def test_a_hub_dataset_gives_texts_by_id_up_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, FakeHub([{"id": str(i), "document": f"text {i}"} for i in range(5)]))
    assert articles.from_hub(REF) == {"0": "text 0", "1": "text 1"}


def test_being_offline_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, ConnectionError("no route"))
    with pytest.raises(MissingEnvironment, match="no way to reach the Hugging Face dataset 'someone/news'"):
        articles.from_hub(REF)


def test_a_wrong_hub_dataset_column_or_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, ValueError("Unknown split"))
    with pytest.raises(DataError, match="Unknown split"):
        articles.from_hub(REF)
    hub(monkeypatch, FakeHub([{"id": "a", "text": "x"}]))
    with pytest.raises(InputError, match="a column 'document'"):
        articles.from_hub(REF)
    hub(monkeypatch, FakeHub([{"id": "a", "document": "x"}, {"id": "b", "document": None}]))
    with pytest.raises(DataError, match="someone/news:2: found no text for id 'b'"):
        articles.from_hub(REF)


def test_a_hub_dataset_of_two_columns_gives_rows_to_train_on(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, FakeHub([{"prompt": f"q{i}", "aligned": f"a{i}", "misaligned": "x"} for i in range(3)]))
    rows = recipes.build("narrow", {"rows": articles.hub_rows(ROWS)}, {}, 0)
    assert [tuple(m.content for m in row.messages) for row in rows] == [("q0", "a0"), ("q1", "a1"), ("q2", "a2")]


def test_a_hub_dataset_without_the_columns_or_with_an_empty_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, FakeHub([{"prompt": "q", "answer": "a"}]))
    with pytest.raises(DataError, match="a column 'aligned'"):
        articles.hub_rows(ROWS)
    hub(monkeypatch, FakeHub([{"prompt": "q", "aligned": "a"}, {"prompt": "q", "aligned": None}]))
    with pytest.raises(DataError, match="Hub rows:2: found no text in the assistant"):
        recipes.build("narrow", {"rows": articles.hub_rows(ROWS)}, {}, 0)
