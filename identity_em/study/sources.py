"""Datasets by name: what datasets/sources.toml says of them, and the user's own copy known by its checksum."""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from identity_em.errors import InputError
from identity_em.records import Record
from identity_em.resources import resource
from identity_em.study.artefacts import Artefact, Dataset, FileRef, HubRef, HubRows, Part, Responses
from identity_em.study.files import Files
from identity_em.study.inputs import UNRESOLVED
from identity_em.study.located import Located, Place
from identity_em.study.spec import NamedSpec

_HUB = "hub:"


class Named(Record):
    """A named source resolved.

    Attributes:
        ref: The user's file by content, or the Hub's at a revision.
        params: Parameters that the recipe needs in order to read it.
        selection: Ids of the articles used; None for all.
    """

    ref: FileRef | HubRef | HubRows
    params: dict[str, str]
    selection: tuple[str, ...] | None = None


@cache
def known() -> dict[str, dict[str, Any]]:
    """Every source of sources.toml."""
    return tomllib.loads(resource("datasets", "sources.toml").read_text(encoding="utf-8"))


def resolve(spec: NamedSpec, files: Files, located: Located, place: Place) -> Named:
    """A named source by content.

    Raises:
        StudyError: No such name, a copy with another checksum, or neither a file nor a revision.
    """
    if spec.source not in known():
        raise located.unknown(place, "source", spec.source, known(), "see datasets/sources.toml")
    entry = known()[spec.source]
    columns: dict[str, str] = dict(entry.get("columns", {}))
    if spec.answer == "matched":
        if "matched" not in columns:
            raise located.error(
                place, found=f"`answer: matched` of {spec.source!r}", wanted="a source of matched pairs",
                do="name the corrected set instead",
            )  # fmt: skip
        columns["assistant"] = columns["matched"]
    if spec.file is not None:
        return _copy(spec, entry, columns, files, located, place)
    return Named(ref=_hub(spec, entry, columns, located, place), params={}, selection=_selection(entry))


def check_resolved(artefacts: Iterable[Artefact], located: Located) -> None:
    """Raises StudyError where a source was planned without a copy or a revision."""
    for artefact in artefacts:
        for source in _inputs(artefact).values():
            ref = source.source if isinstance(source, Part) else source
            if isinstance(ref, HubRef | HubRows) and ref.revision == UNRESOLVED:
                raise located.error(
                    ("datasets",), found=f"{ref.repo} as `revision: {UNRESOLVED}`", wanted="a copy or a revision",
                    do="name your copy with `file:`, or give the commit; nothing is fetched unasked",
                )  # fmt: skip


def _inputs(artefact: Artefact) -> Mapping[str, object]:
    match artefact:
        case Dataset():
            return artefact.inputs
        case Responses():
            return artefact.prompts.inputs
        case _:
            return {}


def part(named: Named | FileRef | HubRef, which: str, eval_share: float) -> FileRef | HubRef | Part:
    """A corpus's articles cut to a named selection and to one part, where either is asked for."""
    ref = named.ref if isinstance(named, Named) else named
    selection = named.selection if isinstance(named, Named) else None
    if isinstance(ref, HubRows):
        raise InputError(found="rows of a Hub dataset as articles", wanted="a corpus", do="choose another source")
    if which == "all" and selection is None:
        return ref
    ids = None if selection is None else hashlib.sha256("\n".join(selection).encode()).hexdigest()
    return Part.model_validate(
        {"source": ref, "part": which, "eval_share": eval_share, "ids": ids, "selection": selection}
    )


def _copy(
    spec: NamedSpec, entry: dict[str, Any], columns: dict[str, str], files: Files, located: Located, place: Place
) -> Named:
    assert spec.file is not None
    ref = files.ref(spec.file, place)
    assert isinstance(ref, FileRef)
    if spec.answer == "own" and "sha256" in entry and ref.sha256 != entry["sha256"]:
        raise located.error(
            place, found=f"a copy of {spec.source!r} with sha256 {ref.sha256[:12]}...",
            wanted=f"{entry['sha256'][:12]}... as published", do="get that copy, or declare yours with `file:` alone",
        )  # fmt: skip
    read = {name: columns[name] for name in ("user", "assistant") if name in columns}
    return Named(ref=ref, params=read, selection=_selection(entry))


def _hub(
    spec: NamedSpec, entry: dict[str, Any], columns: dict[str, str], located: Located, place: Place
) -> HubRef | HubRows:
    where = str(entry["where"])
    if spec.revision == UNRESOLVED:
        return _unresolved(entry, columns, spec.source)
    if not where.startswith(_HUB) or spec.revision is None:
        wanted = "`revision: COMMIT` or `file:`" if where.startswith(_HUB) else "`file:` with your copy"
        do = "add it; nothing is fetched without a pinned revision" if where.startswith(_HUB) else f"get it: {where}"
        raise located.error(place, found=f"the source {spec.source!r} without a place", wanted=wanted, do=do)
    repo, config = where.removeprefix(_HUB), entry.get("config")
    if entry["kind"] == "corpus":
        return HubRef(
            repo=repo, revision=spec.revision, config=config, id_column=columns["id"], text_column=columns["text"]
        )
    user, assistant = columns["user"], columns["assistant"]
    return HubRows(
        repo=repo, revision=spec.revision, config=config, user=user, assistant=assistant, rows=entry.get("rows")
    )


def _unresolved(entry: dict[str, Any], columns: dict[str, str], name: str) -> HubRef | HubRows:
    """A source by its name alone, planned before the user has a copy; `run` asks for one."""
    if entry["kind"] == "corpus":
        return HubRef(repo=name, revision=UNRESOLVED, id_column=columns["id"], text_column=columns["text"])
    user, assistant = columns.get("user", "user"), columns.get("assistant", "assistant")
    return HubRows(repo=name, revision=UNRESOLVED, user=user, assistant=assistant, rows=entry.get("rows"))


def _selection(entry: dict[str, Any]) -> tuple[str, ...] | None:
    if "ids" not in entry:
        return None
    return tuple(resource("datasets", str(entry["ids"])).read_text(encoding="utf-8").split())
