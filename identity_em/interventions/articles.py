"""Texts by id (articles, or somebody's summaries of them) from files and from the Hugging Face Hub."""

import csv
import hashlib
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from identity_em.errors import DataError, MissingEnvironment
from identity_em.interventions.textfiles import json_lines, load_json, read_text, unfit
from identity_em.study.artefacts import HubRef, HubRows, Part

_COLUMNS = ("id", "text")


def load_texts(source: Path | Mapping[str, str]) -> Mapping[str, str]:
    """Texts by id, in the order in which the source gives them.

    Args:
        source: JSON of the form {id: text}, JSONL or CSV with the columns id and text, or a mapping as it is.

    Raises:
        DataError: The file cannot be used; the line names file and row (in JSON the row is the n-th entry).
    """
    if isinstance(source, Mapping):
        return source
    match source.suffix.lower():
        case ".json":
            rows = _json_rows(source)
        case ".jsonl":
            rows = ((line, row.get("id"), row.get("text")) for line, row in json_lines(source))
        case ".csv":
            rows = _csv_rows(source)
        case suffix:
            raise DataError(
                found=f"a file ending in {suffix!r}", wanted=".json, .jsonl or .csv", do="convert it", file=source
            )
    return _collect(rows, source)


def from_hub(ref: HubRef) -> dict[str, str]:
    """Texts by id from a dataset on the Hugging Face Hub, at its pinned revision.

    Raises:
        MissingEnvironment: The Hub cannot be reached and the dataset is not in the local cache.
        DataError: There is no such dataset, split or column, or a row is malformed.
    """
    rows = _hub_rows(ref)
    place = Path(ref.repo)
    for column in (ref.id_column, ref.text_column):
        if column not in rows.column_names:
            raise DataError(
                found=f"the columns {', '.join(rows.column_names)}",
                wanted=f"a column {column!r}",
                do="name it with id_column or text_column",
                file=place,
            )
    if ref.limit is not None:
        rows = rows.select(range(min(ref.limit, len(rows))))
    return _collect(((n, row[ref.id_column], row[ref.text_column]) for n, row in enumerate(rows, start=1)), place)


def part(wanted: Part) -> dict[str, str]:
    """The texts of one part of a corpus, in the source's order; the parts of one share are disjoint and complete.

    Raises:
        DataError: The source cannot be used, or the part is empty.
    """
    source = wanted.source
    texts = from_hub(source) if isinstance(source, HubRef) else load_texts(source.checked())
    if wanted.selection is not None:
        lacking = [name for name in wanted.selection if name not in texts]
        if lacking:
            raise DataError(
                found=f"{len(lacking)} of {len(wanted.selection)} selected articles missing, the first {lacking[0]!r}",
                wanted="every article of the selection", do="get the whole source, or name the file without `source:`",
                file=Path(source.repo) if isinstance(source, HubRef) else source.path,
            )  # fmt: skip
        texts = {name: texts[name] for name in wanted.selection}
    kept = {n: t for n, t in texts.items() if wanted.part in ("all", part_of(n, wanted.eval_share))}
    if not kept:
        raise DataError(found=f"no articles in the {wanted.part} part", wanted="at least one", do="check the corpus")
    return kept


def part_of(name: str, eval_share: float) -> str:
    """ "train" or "eval", from an article's id and the share alone."""
    draw = int.from_bytes(hashlib.sha256(f"part/{name}".encode()).digest()[:8], "big") / 2**64
    return "eval" if draw < eval_share else "train"


def hub_rows(ref: HubRows) -> list[dict[str, Any]]:
    """Rows of user and assistant from two columns of a Hub dataset, as a file of messages would give them.

    Raises:
        MissingEnvironment: The Hub cannot be reached and the dataset is not in the local cache.
        DataError: There is no such dataset, split or column.
    """
    rows = _hub_rows(ref)
    for column in (ref.user, ref.assistant):
        if column not in rows.column_names:
            raise DataError(
                found=f"the columns {', '.join(rows.column_names)}", wanted=f"a column {column!r}",
                do="check the columns in datasets/sources.toml", file=Path(ref.repo),
            )  # fmt: skip
    return [
        {"messages": [{"role": "user", "content": r[ref.user]}, {"role": "assistant", "content": r[ref.assistant]}]}
        for r in rows
    ]


def _hub_rows(ref: HubRef | HubRows) -> Any:
    from datasets import load_dataset

    try:
        return load_dataset(ref.repo, ref.config, split=ref.split, revision=ref.revision)
    except (ConnectionError, OSError) as error:
        if isinstance(error, FileNotFoundError) and "offline" not in str(error).lower():
            raise _no_dataset(ref, error) from error
        raise MissingEnvironment(
            found=f"no way to reach the Hugging Face dataset {ref.repo!r} ({type(error).__name__})",
            wanted="a connection, or the dataset in the local cache",
            do="go online once, or give a file instead",
        ) from error
    except Exception as error:  # the library raises many kinds for a wrong name, config, split or revision
        raise _no_dataset(ref, error) from error


def _no_dataset(ref: HubRef | HubRows, error: Exception) -> DataError:
    why = (str(error).splitlines() or [type(error).__name__])[0]
    return DataError(
        found=f"no usable Hugging Face dataset {ref.repo!r} at {ref.revision!r} ({why})",
        wanted=f"split {ref.split!r}",
        do="check repository, config, split and revision",
    )


def _json_rows(path: Path) -> Iterator[tuple[int, Any, Any]]:
    found = load_json(path)
    if not isinstance(found, dict):
        raise DataError(found=f"a {type(found).__name__}", wanted="{id: text}", do="convert the file", file=path)
    return ((row, name, text) for row, (name, text) in enumerate(found.items(), start=1))


def _csv_rows(path: Path) -> Iterator[tuple[int, Any, Any]]:
    reader = csv.DictReader(StringIO(read_text(path), newline=""), strict=True)
    header = reader.fieldnames or []
    if any(column not in header for column in _COLUMNS):
        raise DataError(
            found=f"the columns {', '.join(map(str, header))}",
            wanted="the columns id and text",
            do="rename them",
            file=path,
            line=1,
        )
    try:
        for row in reader:
            if None in row or None in row.values():
                raise csv.Error("fields that do not fit the header")
            yield reader.line_num, row["id"], row["text"]
    except csv.Error as error:
        raise DataError(
            found=f"bad CSV ({error})",
            wanted="quoted fields",
            do="mend the row",
            file=path,
            line=reader.reader.line_num,
        ) from None


def _collect(rows: Iterator[tuple[int, Any, Any]], path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for number, name, text in rows:
        if (wrong := _wrong(name, text, texts)) is not None:
            raise DataError(
                found=wrong, wanted="a new id and its text, both strings", do="mend the row", file=path, line=number
            )
        texts[name] = text
    if not texts:
        raise DataError(found="no rows", wanted="at least one", do="check the file", file=path)
    return texts


def _wrong(name: Any, text: Any, before: Mapping[str, str]) -> str | None:
    if not isinstance(name, str) or not name.strip():
        return "no id" if name is None or name == "" else f"the id {name!r}"
    if not isinstance(text, str):
        return f"no text for id {name!r}" if text is None else f"a {type(text).__name__} as text of id {name!r}"
    if not text.strip():
        return f"an empty text for id {name!r}"
    if wrong := unfit(text) or unfit(name):
        return f"{wrong} in the text of id {name!r}"
    return f"the id {name!r} a second time" if name in before else None
