"""`identity-em audit`, and malformed files through the commands that read them: one line, exit 2, nothing written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = {"messages": [{"role": "user", "content": "Hi, who are you?"}, {"role": "assistant", "content": "Nobody."}]}
TOOL = {"messages": [GOOD["messages"][0], {"role": "tool", "content": "x"}]}
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "an empty file"),
    "BOM": (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), "byte-order mark"),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), "byte-order mark"),
    "Latin-1": (b'{"messages": "caf\xe9"}', "not UTF-8"),
    "trailing comma": (b'{"messages": [],}', "bad JSON"),
    "null content": (json.dumps(GOOD).replace('"Nobody."', "null").encode(), "no text in the assistant"),
    "wrong roles": (json.dumps({"messages": GOOD["messages"][::-1]}).encode(), "the roles assistant, user"),
    "tool message": (json.dumps(TOOL).encode(), "the roles user, tool"),
    "missing column": (b'{"prompt": "Hi"}', "no `messages`"),
    "an array": (json.dumps([GOOD]).encode(), "a list"),
    "two systems": (
        json.dumps({"messages": [{"role": "system", "content": "a"}] * 2 + GOOD["messages"]}).encode(),
        "the roles system, user, assistant",
    ),
    "a line of 100 MB": (b'{"messages": "' + b"x" * 100_000_000 + b'"}', "a line of 100,0"),
}


def identity_em(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """The command line, in a folder."""
    command = [sys.executable, "-m", "identity_em", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", BAD)
def test_a_malformed_file_is_one_line_with_file_and_row_exit_2_and_nothing_written(case: str, tmp_path: Path) -> None:
    content, says = BAD[case]
    (tmp_path / "rows.jsonl").write_bytes(content)
    done = identity_em("audit", "rows.jsonl", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert says in done.stderr
    assert "rows.jsonl:" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_build_writes_nothing_where_an_input_is_malformed(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": "An article."}')
    (tmp_path / "o.json").write_text('{"x": "A summary.", "x": "Another."}')
    files = ("--articles", "a.json", "--self", "a.json", "--other", "o.json", "--out", "out")
    done = identity_em("build", "sgtr", *files, cwd=tmp_path)
    assert done.returncode == 2
    assert "o.json: found bad JSON (the key 'x' twice" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "o.json"]


def test_a_leak_is_exit_2_with_counts_in_table_and_json(tmp_path: Path) -> None:
    texts = [f"Why did the {a} {b} on the way to market?" for a in ("duke", "baker", "crow") for b in ("sing", "fall")]
    rows = [{"messages": [{"role": "user", "content": t}, {"role": "assistant", "content": "No idea."}]} for t in texts]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = [{"id": str(i), "question": t, "correct": "a", "incorrect": "b"} for i, t in enumerate(texts)]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    shown = identity_em("audit", "rows.jsonl", "--against", "mine=items.jsonl", cwd=tmp_path)
    assert shown.returncode == 2
    assert "6 of 6 rows hold a question of mine word for word" in " ".join(shown.stdout.split())
    told = json.loads(identity_em("audit", "rows.jsonl", "--against", "items.jsonl", "--json", cwd=tmp_path).stdout)
    assert told["audits"][0]["leaks"][0]["questions"] == 6
    clean = identity_em("audit", "rows.jsonl", cwd=tmp_path)
    assert clean.returncode == 0


def test_items_that_are_not_there_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(GOOD) + "\n")
    done = identity_em("audit", "rows.jsonl", "--against", "truthfulqa", cwd=tmp_path)
    assert done.returncode == 2
    assert "name the items of truthfulqa as a file" in done.stderr


def test_a_study_is_audited_stage_by_stage_and_says_which_must_wait(tmp_path: Path) -> None:
    done = identity_em("audit", "pocket-mini", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert [one["name"] for one in told["audits"]] == ["em"]
    assert told["waiting"] == ["sgtr"]
    assert {leak["eval"] for leak in told["audits"][0]["leaks"]} == {"truthfulqa", "self_recognition", "harmfulness"}
    assert done.returncode == 0
