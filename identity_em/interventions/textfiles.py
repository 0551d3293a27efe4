"""User's text files read strictly: each thing wrong is one DataError with file and line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from identity_em.errors import DataError

# A longer line is a broken file (two files joined without newlines, a binary), not a row.
MAX_LINE = 10_000_000
# Source: the special tokens of the chat templates of Qwen, Llama 3, gpt-oss, Seed-OSS and Gemma.
_MARKER = re.compile(
    r"<\|(?:im_start|im_end|endoftext|begin_of_text|end_of_text|start_header_id|end_header_id|eot_id|eom_id|"
    r"start|end|message|channel|return|call|constrain)\|>|<(?:start|end)_of_turn>|<seed:(?:bos|eos)>"
)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file.

    Raises:
        DataError: No such file, empty, a byte-order mark, or not UTF-8 (with the line).
    """
    text = "".join(_lines(path))
    if not text.strip():
        raise _empty(path)
    return text


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their 1-based line numbers, one by one; blank lines are passed over.

    Raises:
        DataError: What `read_text` refuses, or a line that is not a JSON object, repeats a key, or is longer than
            `MAX_LINE` characters.
    """
    empty = True
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            empty = False
            yield number, _object(path, number, line.removesuffix("\n"))
    if empty:
        raise _empty(path)


def load_json(path: Path) -> Any:
    """The JSON document of a file, in which no object repeats a key.

    Raises:
        DataError: It is not JSON (with the line), or repeats a key.
    """
    try:
        return json.loads(read_text(path), object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _broken(path, error.lineno, error.msg) from None
    except (_Unfit, RecursionError) as error:
        raise _broken(path, None, str(error)) from None


def unfit(text: str) -> str | None:
    """What in a text cannot be trained on as text; None where nothing is.

    JSON escapes can spell half a surrogate pair, which UTF-8 cannot hold; and a tokenizer reads a turn's marker as the
    marker wherever it stands, so that a row could open turns of its own.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return "half a surrogate pair"
    if "\0" in text:
        return "a NUL character"
    marker = _MARKER.search(text)
    return f"the turn marker {marker[0]!r}" if marker else None


def _lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file with their ends; split at newlines alone, as JSON Lines are."""
    if not path.is_file():
        raise DataError(found="no such file", wanted="a text file", do="check the path", file=path)
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if number == 1 and raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
                raise _encoding(path, "a byte-order mark", 1)
            try:
                yield raw.decode("utf-8")
            except UnicodeDecodeError:
                raise _encoding(path, "bytes that are not UTF-8", number) from None


def _empty(path: Path) -> DataError:
    return DataError(found="an empty file", wanted="at least one row", do="check the file", file=path)


class _Unfit(Exception):
    """JSON that Python reads and we do not."""


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    if len(line) > MAX_LINE:
        raise DataError(
            found=f"a line of {len(line):,} characters",
            wanted=f"at most {MAX_LINE:,}",
            do="check that rows are separated by newlines",
            file=path,
            line=number,
        )
    try:
        row = json.loads(line, object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _broken(path, number, error.msg) from None
    except (_Unfit, RecursionError) as error:
        raise _broken(path, number, str(error)) from None
    if not isinstance(row, dict):
        raise DataError(
            found=f"a {type(row).__name__}", wanted="one JSON object a line", do="mend the row", file=path, line=number
        )
    return row


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _Unfit(f"the key {twice!r} twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise _Unfit(f"the number {name}")


def _broken(path: Path, line: int | None, why: str) -> DataError:
    return DataError(found=f"bad JSON ({why})", wanted="valid JSON", do="mend the row", file=path, line=line)


def _encoding(path: Path, found: str, line: int) -> DataError:
    return DataError(
        found=found, wanted="UTF-8 without a byte-order mark", do="save the file as UTF-8", file=path, line=line
    )
