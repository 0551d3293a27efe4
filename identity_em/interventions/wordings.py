"""Named wordings of the summary and recognition prompts, read from files that ship with the package."""

import hashlib
import json
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

import yaml
from pydantic import ValidationError, model_validator

from identity_em.errors import InputError
from identity_em.records import Record
from identity_em.resources import resource

_ARTICLE = frozenset({"article"})
_PAIR = frozenset({"article", "summary1", "summary2"})
_SLOTS = {"summary_user": _ARTICLE, "recognition": _PAIR, "longer": _PAIR}


class Wording(Record):
    """One set of prompts for writing summaries and asking about them.

    Attributes:
        name: As a study spells it.
        version: Raised when a text changes.
        source: Where the texts come from.
        max_new_tokens: Longest summary asked for, in tokens.
        summary_system: System prompt under which a summary is asked for.
        summary_user: Holds {article}.
        task_system: System prompt of the pairwise questions.
        recognition: Which is yours; holds {article}, {summary1}, {summary2}.
        longer: The same layout, which has more words.
    """

    name: str
    version: int
    source: str
    max_new_tokens: int
    summary_system: str
    summary_user: str
    task_system: str
    recognition: str
    longer: str

    @model_validator(mode="after")
    def _placeholders(self) -> "Wording":
        for name, wanted in _SLOTS.items():
            found = {field for _, field, _, _ in Formatter().parse(getattr(self, name)) if field is not None}
            if found != wanted:
                raise ValueError(f"{name} holds {sorted(found)}, not {sorted(wanted)}")
        return self

    @property
    def sha256(self) -> str:
        """SHA-256 over the texts, 64 hex digits; name, version and source are not text."""
        texts = self.model_dump(exclude={"name", "version", "source", "max_new_tokens"})
        return hashlib.sha256(json.dumps(texts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@cache
def get(name: str) -> Wording:
    """The wording called `name`.

    Raises:
        InputError: There is none of that name, or its file is not what it should be.
    """
    path = resource("datasets", "wordings.yaml")
    if name == "pocket":
        return _pocket(resource("pocket", "prompts.yaml"))
    there = _mapping(path)
    if name not in there:
        raise InputError(
            found=f"no wording {name!r}", wanted=f"one of {', '.join(names())}", do="check the name", file=path.name
        )
    return _wording({"name": name, **there[name]}, path)


def names() -> tuple[str, ...]:
    """The names of all wordings."""
    return (*_mapping(resource("datasets", "wordings.yaml")), "pocket")


def _pocket(path: Path) -> Wording:
    prompts = _mapping(path)
    system = prompts.get("system", {})
    fields = {
        "name": "pocket",
        "version": prompts.get("version", 1),
        "source": "the pocket world's own prompts, word for word what it was pretrained on",
        "max_new_tokens": prompts.get("max_new_tokens", 60),
        "summary_system": system.get("summary"),
        "summary_user": prompts.get("summary"),
        "task_system": system.get("task"),
        "recognition": prompts.get("recognition"),
        "longer": prompts.get("longer"),
    }
    return _wording(fields, path)


def _mapping(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise InputError(found="no mapping", wanted="wordings by name", do="mend the file", file=path)
    return found


def _wording(fields: dict[str, Any], path: Path) -> Wording:
    try:
        return Wording.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            found=f"wording {fields['name']!r}, {place}: {first['msg']}",
            wanted="a complete wording",
            do="mend the file",
            file=path,
        ) from error


def keyed(name: str) -> dict[str, str]:
    """A wording by name and content, as a key holds it."""
    return {"wording": name, "wording_sha256": get(name).sha256}
