"""Rows as they will be made, without a store: for planning, preflight and audits, wherever every input is a file."""

import json
from pathlib import Path

from identity_em.interventions import articles, recipes
from identity_em.records import Example
from identity_em.study.artefacts import Dataset, FileRef, Input, Part

ROWS, FACTS = "rows.jsonl", "facts.jsonl"


def examples(dataset: Dataset) -> list[Example] | None:
    """The dataset's rows; None where an input is not a file (summaries not written yet, the Hub).

    Raises:
        InputError: An input cannot be used.
    """
    found = inputs(dataset)
    return None if found is None else recipes.build(dataset.recipe, found, dataset.params, dataset.data_seed)


def inputs(dataset: Dataset) -> recipes.Inputs | None:
    """What the dataset is made from; None where an input is not a file."""
    given = {name: _input(source) for name, source in dataset.inputs.items()}
    found = {name: source for name, source in given.items() if source is not None}
    return found if len(found) == len(given) else None


def stored(folder: Path) -> list[Example]:
    """The rows of a made dataset's folder, with the facts that lie beside them."""
    rows = _objects(folder / ROWS)
    facts = _objects(folder / FACTS) if (folder / FACTS).is_file() else [{} for _ in rows]
    return [Example.model_validate({**row, "facts": fact}) for row, fact in zip(rows, facts, strict=True)]


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
            return examples(source)
        case _:
            return None


def _objects(path: Path) -> list[dict[str, object]]:
    # Not splitlines(): it also splits at separators that a text may hold.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
