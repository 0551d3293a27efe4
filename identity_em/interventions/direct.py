"""Rows as they will be made, without a store: for planning, preflight and audits, wherever every input is a file."""

import json
from collections.abc import Callable, Collection, Iterator
from functools import cached_property, partial
from itertools import repeat
from pathlib import Path

from identity_em.interventions import articles, recipes
from identity_em.records import Example
from identity_em.study.artefacts import Dataset, FileRef, Input, Part

ROWS, FACTS = "rows.jsonl", "facts.jsonl"


class Rows(Collection[Example]):
    """Rows that are made (or read) anew each time they are gone through, so that none is kept.

    Args:
        again: Starts over at the first row.
    """

    def __init__(self, again: Callable[[], Iterator[Example]]) -> None:
        self._again = again

    def __iter__(self) -> Iterator[Example]:
        return self._again()

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: object) -> bool:
        return any(row == one for one in self)

    @cached_property
    def _count(self) -> int:
        return sum(1 for _ in self)


def rows(dataset: Dataset) -> Rows | None:
    """The dataset's rows; None where an input is not a file (summaries not written yet, the Hub).

    Raises:
        InputError: While rows are given: an input cannot be used.
    """
    found = inputs(dataset)
    if found is None:
        return None
    return Rows(partial(recipes.stream, dataset.recipe, found, dataset.params, dataset.data_seed))


def examples(dataset: Dataset) -> list[Example] | None:
    """The rows of `rows`, all at once."""
    found = rows(dataset)
    return None if found is None else list(found)


def inputs(dataset: Dataset) -> recipes.Inputs | None:
    """What the dataset is made from; None where an input is not a file."""
    given = {name: _input(source) for name, source in dataset.inputs.items()}
    found = {name: source for name, source in given.items() if source is not None}
    return found if len(found) == len(given) else None


def stored(folder: Path) -> Rows:
    """The rows of a made dataset's folder, with the facts that lie beside them."""
    return Rows(partial(_stored, folder))


def files(dataset: Dataset) -> list[Path]:
    """Every file that the dataset is made from."""
    found: list[Path] = []
    for source in dataset.inputs.values():
        match source:
            case FileRef(path=path) | Part(source=FileRef(path=path)):
                found.append(path)
            case Dataset():
                found += files(source)
    return found


def _input(source: Input) -> recipes.Source | None:
    match source:
        case FileRef():
            return source.path
        case Part(source=FileRef()):
            return articles.part(source)
        case Dataset():
            return rows(source)
        case _:
            return None


def _stored(folder: Path) -> Iterator[Example]:
    facts = _objects(folder / FACTS) if (folder / FACTS).is_file() else repeat({})
    # Two files that were written together; where there are no facts, there is no end to the empty ones.
    for row, fact in zip(_objects(folder / ROWS), facts, strict=(folder / FACTS).is_file()):
        yield Example.model_validate({**row, "facts": fact})


def _objects(path: Path) -> Iterator[dict[str, object]]:
    # A file's lines and not splitlines(), which also splits at separators that a text may hold.
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line.strip("\n"):
                yield json.loads(line)
