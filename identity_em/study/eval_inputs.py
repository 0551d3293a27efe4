"""What an eval is asked about: items, a corpus, or what checkpoints have answered; one planner an eval, by name."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from identity_em.battery import Eval
from identity_em.resources import folder
from identity_em.study.artefacts import Checkpoint, FileRef, HubRef, Prompts, Scores
from identity_em.study.datasets import Datasets, wording_params
from identity_em.study.declared import Arm
from identity_em.study.located import Located, Place
from identity_em.study.spec import FileSpec, HubSpec, Study

_SOURCE: TypeAdapter[FileSpec | HubSpec] = TypeAdapter(FileSpec | HubSpec)
AUTHORS = ("base", "current")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One eval wanted of one checkpoint, and all that its planner may use.

    Attributes:
        given: What the study says of the eval.
        params: The eval's own parameters, defaults included, the judge left out.
        place: Where the study names the eval, for errors.
        seed: None for the base.
        scores: The scores of another eval of this study under the same eval system prompt, by its name: of this
            checkpoint, or of an arm's (same seed).
    """

    eval: Eval
    given: Mapping[str, Any]
    params: dict[str, Any]
    place: Place
    study: Study
    located: Located
    datasets: Datasets
    checkpoint: Checkpoint
    arm: Arm
    seed: int | None
    scores: Callable[[str, Arm | None], Scores]

    def prompts(self, inputs: Mapping[str, Any], **params: object) -> Prompts:
        """The eval's questions about these inputs."""
        return Prompts.model_validate(
            {"name": self.eval.name, "version": self.eval.version, "params": {**self.params, **params}}
            | {"inputs": dict(inputs)}
        )

    def required(self, key: str, do: str) -> Any:
        """What the study says under `key`.

        Raises:
            StudyError: Nothing.
        """
        if key not in self.given:
            found, wanted = f"{self.eval.name} without `{key}`", f"`{key}: ...`"
            raise self.located.error(self.place, found=found, wanted=wanted, do=do)
        return self.given[key]


@dataclass(frozen=True)
class Planner:
    """How an eval's inputs are planned, and what a study may say for it beside the eval's own parameters."""

    plan: Callable[[Asked], Iterator[Prompts]]
    keys: tuple[str, ...] = ()


def items(asked: Asked) -> Iterator[Prompts]:
    """One file of items: the eval's own, the pocket world's, the user's, the Hub's, or a published one by checksum."""
    ref, instrument = item_file(asked)
    yield asked.prompts({"items": ref}, instrument=instrument)


def item_file(asked: Asked) -> tuple[FileRef | HubRef, str]:
    """The items asked for, and what they are: `own`, `pocket`, `file`, `hub` or `published NAME`.

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
        return asked.datasets.files.ref(str(found) if found else f"pocket:{asked.eval.name}.jsonl", place), "pocket"
    if isinstance(given, str):
        return asked.datasets.files.ref(given, place), "pocket" if given.startswith("pocket:") else "file"
    ref = asked.datasets.files.ref(_source(given, asked.located, place), place)
    return ref, "file" if isinstance(ref, FileRef) else "hub"


def corpus(asked: Asked) -> Iterator[Prompts]:
    """Articles with each author's summaries as the own ones, against each comparator's."""
    name = asked.required("corpus", "name the corpus under corpora:")
    articles = asked.datasets.articles(name, (*asked.place, "corpus"))
    comparators = asked.given.get("comparators") or list(asked.study.corpora[name].summaries)
    where = (*asked.place, "comparators")
    others = {f"other:{other}": asked.datasets.author(name, other, where) for other in comparators}
    params = wording_params(asked.study.corpora[name].wording)
    for author in AUTHORS:
        writer = asked.checkpoint if author == "current" else asked.datasets.root
        own = asked.datasets.summaries(writer, name, asked.place)
        yield asked.prompts({"articles": articles, "self": own, **others}, **params, author=author)


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
        wanted = "a file's name, {file: NAME} or {hub: NAME, revision: COMMIT}"
        raise located.error(place, found=f"items {given!r}", wanted=wanted, do="mend it") from error


def _shipped(where: Path, name: str) -> Path | None:
    """The one file called `name` in a shipped folder, whatever its format."""
    return next(iter(sorted(where.glob(f"{name}.*"))), None)


ITEMS = Planner(items, ("items", "instrument", "file"))
PLANNERS: dict[str, Planner] = {
    "self_recognition": Planner(corpus, ("corpus", "comparators")),
}
