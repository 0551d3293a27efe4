"""Items and texts read strictly: a row that cannot be used is an error with its file and row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import Field, ValidationError

from identity_em.battery import Inputs
from identity_em.errors import DataError
from identity_em.records import Message, Question, Record, Rubric
from identity_em.resources import resource
from identity_em.study.artefacts import HubRef

R = TypeVar("R", bound=Record)


class OpenItem(Record):
    """A prompt that is answered freely."""

    id: str
    dimension: str = ""
    prompt: str

    @property
    def question(self) -> Question:
        """The prompt as the only turn; repeated answers are samples of one question."""
        return Question(item=self.id, messages=(Message(role="user", content=self.prompt),), dimension=self.dimension)


class Wording(Record):
    """An eval's prompt texts (evals/NAME/prompts.yaml), filled with `str.format`.

    Attributes:
        texts: Further templates by name, where one is not enough.
        framings: Ways to put the same question, by name; `{prompt}` is the question.
    """

    version: int
    system: str | None = None
    user: str = ""
    texts: dict[str, str] = Field(default_factory=dict)
    framings: dict[str, str] = Field(default_factory=dict)


@lru_cache
def wording(name: str) -> Wording:
    """The prompt texts that ship with the eval called `name`."""
    return Wording.model_validate(yaml.safe_load(resource("evals", f"{name}/prompts.yaml").read_text("utf-8")))


@lru_cache
def rubric(name: str, metric: str) -> Rubric:
    """The rubric that ships with the eval called `name` as METRIC.rubric.yaml."""
    body = yaml.safe_load(resource("evals", f"{name}/{metric}.rubric.yaml").read_text("utf-8"))
    return Rubric.model_validate({"name": metric, **body})


def file_input(inputs: Inputs, name: str, *, of: str) -> Path:
    """The input called `name`, which must be a file that is there.

    Raises:
        DataError: It is missing, or no file.
    """
    given = inputs.get(name)
    if not isinstance(given, Path):
        found = f"no input {name!r}" if given is None else f"an input {name!r} that is no file"
        raise DataError(found=found, wanted=f"a file as {name!r} of eval {of!r}", do="name one under inputs")
    if not given.is_file():
        raise DataError(found="no such file", wanted=f"the {name} of eval {of!r}", do="check the path", file=given)
    return given


def texts(given: object, *, what: str) -> Mapping[str, str]:
    """Texts by id, given as such or as a JSON file `{"id": "text"}`.

    Raises:
        DataError: The file is not there or holds something else.
    """
    if isinstance(given, Mapping):
        return given
    if not isinstance(given, Path):
        raise DataError(found=f"no {what}", wanted="texts by id", do=f"give {what}")
    try:
        found = json.loads(given.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(found="no readable JSON", wanted=f"{what} by id", do="check the file", file=given) from error
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise DataError(
            found="JSON that is no texts by id", wanted='{"id": "text", ...}', do="check the file", file=given
        )
    return found


def jsonl(path: Path, kind: type[R]) -> list[R]:
    """The rows of a JSONL file, each a `kind`, with ids that differ.

    Raises:
        DataError: A malformed row, a repeated id, or no row at all.
    """
    rows = [_row(text, kind, path, line) for line, text in _lines(path)]
    return unique(rows, path)


def rows(path: Path, kind: type[R]) -> list[R]:
    """Items of a JSONL file, or those under `items:` of a YAML one; ids differ.

    Raises:
        DataError: A malformed item, a repeated id, or none at all.
    """
    if path.suffix != ".yaml":
        return jsonl(path, kind)
    body = yaml.safe_load(path.read_text("utf-8"))
    given = body.get("items") if isinstance(body, dict) else None
    if not isinstance(given, list):
        raise DataError(found="no list of items", wanted="items: [...]", do="mend the file", file=path)
    return unique([_valid(item, kind, path) for item in given], path)


def hub_rows(hub: HubRef, kind: type[Record]) -> list[dict[str, Any]]:
    """The rows of a Hugging Face set, pinned by its revision, cut to the columns of `kind`.

    Raises:
        DataError: A column that `kind` must have is not there.
    """
    from datasets import load_dataset

    rows = load_dataset(hub.repo, hub.config, split=hub.split, revision=hub.revision)
    missing = [name for name, f in kind.model_fields.items() if f.is_required() and name not in rows.column_names]
    if missing:
        found = f"columns {', '.join(rows.column_names)[:200]}"
        raise DataError(found=found, wanted=f"also {', '.join(missing)}", do="name another set", file=hub.repo)
    wanted = [name for name in kind.model_fields if name in rows.column_names]
    return [{name: row[name] for name in wanted} for row in rows.select(range(min(len(rows), hub.limit or len(rows))))]


def unique(rows: list[R], path: Path) -> list[R]:
    """The rows themselves, where there are any and their ids differ."""
    seen: dict[str, int] = {}
    for place, row in enumerate(rows, start=1):
        identifier = str(getattr(row, "id", place))
        if identifier in seen:
            first = seen[identifier]
            raise DataError(
                found=f"id {identifier!r} in items {first} and {place}", wanted="each id once", do="rename", file=path
            )
        seen[identifier] = place
    if not rows:
        raise DataError(found="no items", wanted="at least one", do="check the file", file=path)
    return rows


def reason(error: ValidationError) -> str:
    """What is wrong with a row, in a few words."""
    first: Any = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "row"
    return f"{place}: {first['msg']}"


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(found="no readable text", wanted="UTF-8 JSONL", do="check the file", file=path) from error
    return ((line, row) for line, row in enumerate(text.split("\n"), start=1) if row.strip())


def _valid(item: object, kind: type[R], path: Path) -> R:
    try:
        return kind.model_validate(item)
    except ValidationError as error:
        wanted = ", ".join(kind.model_fields)
        raise DataError(found=f"an item with {reason(error)}", wanted=wanted, do="mend it", file=path) from error


def _row(text: str, kind: type[R], path: Path, line: int) -> R:
    wanted = ", ".join(kind.model_fields)
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise DataError(
            found=f"a row with {reason(error)}", wanted=f"JSON with {wanted}", do="mend the row", file=path, line=line
        ) from error
