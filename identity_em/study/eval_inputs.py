"""What an eval is asked about: items, a corpus, or what checkpoints have answered; one planner an eval, by name."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from identity_em.resources import folder
from identity_em.study import matrix
from identity_em.study.artefacts import FileRef, HubRef, Prompts
from identity_em.study.asked import Asked
from identity_em.study.located import Located, Place
from identity_em.study.spec import FileSpec, HubSpec
from identity_em.values import SOURCE, TEXT, Value

_SOURCE: TypeAdapter[FileSpec | HubSpec] = TypeAdapter(FileSpec | HubSpec)


@dataclass(frozen=True)
class Planner:
    """How an eval's inputs are planned, and what a study may say for it beside the eval's own parameters."""

    plan: Callable[[Asked], Iterator[Prompts]]
    keys: Mapping[str, Value] = field(default_factory=dict)


def items(asked: Asked) -> Iterator[Prompts]:
    """One file of items: the eval's own, the pocket world's, the user's, the Hub's, or a published one by checksum."""
    ref, instrument = item_file(asked)
    yield asked.prompts({"items": ref}, instrument=instrument)


def item_file(asked: Asked) -> tuple[FileRef | HubRef, str]:
    """The items asked for, and what they are: `own`, `pocket`, `file SHA256`, `hub REPOSITORY` or `published NAME`.

    Raises:
        StudyError: There are none, or a copy of a published instrument differs from it in a byte.
    """
    place = (*asked.place, "items")
    if "instrument" in asked.given:
        return _published(asked)
    if "items" not in asked.given:
        own = _shipped(folder("evals") / asked.eval.name, "items")
        if own is None:
            asked.required("items", "name the items' file, or `items: pocket`")
        return asked.datasets.files.ref(str(own), place), "own"
    given = asked.given["items"]
    if given == "pocket":
        found = _shipped(folder("pocket") / "data", asked.eval.name)
        given = f"pocket:{found.name if found else asked.eval.name}"
    source = given if isinstance(given, str) else _source(given, asked.located, place)
    ref = asked.datasets.files.ref(source, place)
    if isinstance(ref, HubRef):
        return ref, f"hub {ref.repo}" + (f" {ref.config}" if ref.config else "")
    # A file is known by its content, as everything in a key is, not by what it is called on this machine.
    return ref, "pocket" if source == f"pocket:{asked.eval.name}{ref.path.suffix}" else f"file {ref.sha256[:8]}"


def named(asked: Asked) -> Iterator[Prompts]:
    """Items, and the names by which the base is known, where the study declares none."""
    from identity_em.tasks.identity import names_of

    base = asked.datasets.root.base.name
    names = asked.params["names"] or names_of(base)
    if not names:
        raise asked.located.error(
            asked.place, found=f"no names by which {base} is known", wanted="`names: [...]`",
            do="declare the names of the model and its developer",
        )  # fmt: skip
    ref, instrument = item_file(asked)
    yield asked.prompts({"items": ref}, instrument=instrument, names=list(names))


@cache
def published(name: str) -> dict[str, dict[str, str]]:
    """The published instruments that an eval knows, by name, each with its sha256 (evals/NAME/published.toml)."""
    file = folder("evals") / name / "published.toml"
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _published(asked: Asked) -> tuple[FileRef, str]:
    """The user's copy of a published instrument, known by its checksum."""
    place, known = (*asked.place, "instrument"), published(asked.eval.name)
    if asked.given["instrument"] != "published" or not known or "items" in asked.given:
        raise asked.located.error(
            place, found=f"`instrument: {asked.given['instrument']}` of {asked.eval.name}",
            wanted="`instrument: published` with `file:`" if known else "`items:`; none published is known",
            do="leave it away for own items, or name others by `items:`",
        )  # fmt: skip
    where = (*asked.place, "file")
    ref = asked.datasets.files.ref(str(asked.required("file", "give your copy; nothing is fetched")), where)
    assert isinstance(ref, FileRef)
    for name, entry in known.items():
        if entry["sha256"] == ref.sha256:
            return ref, f"published {name}"
    wanted = " or ".join(f"{name}, sha256 {entry['sha256']}" for name, entry in known.items())
    raise asked.located.error(
        where, found=f"{ref.path.name} with sha256 {ref.sha256}", wanted=wanted,
        do="get that copy, or ask yours under `items:`, where it is not called published",
    )  # fmt: skip


def _source(given: Any, located: Located, place: Place) -> FileSpec | HubSpec:
    try:
        return _SOURCE.validate_python(given)
    except ValidationError as error:
        raise located.error(place, found=f"items: {given}", wanted=SOURCE.words, do="mend it") from error


def _shipped(where: Path, name: str) -> Path | None:
    """The one file called `name` in a shipped folder, whatever its format."""
    return next(iter(sorted(where.glob(f"{name}.*"))), None)


ITEMS = Planner(items, {"items": SOURCE, "instrument": TEXT, "file": TEXT})
PLANNERS: dict[str, Planner] = {
    "identity": Planner(named, ITEMS.keys),
    "self_recognition": Planner(matrix.plan, matrix.KEYS),
}
