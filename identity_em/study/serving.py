"""A study's artefacts as a server answers them: what is trained stays as it is, down to its key."""

from collections.abc import Iterable
from typing import Any

from identity_em.records import Record
from identity_em.study import writers
from identity_em.study.artefacts import Artefact, Checkpoint, Dataset, Responses, Scores


def trained_on(checkpoints: Iterable[Checkpoint]) -> frozenset[str]:
    """Keys of the answers that the checkpoints' datasets are made from."""
    found: dict[str, Artefact] = {}
    stack: list[Artefact] = list(checkpoints)
    while stack:
        artefact = stack.pop()
        if artefact.key not in found:
            found[artefact.key] = artefact
            stack += artefact.needs
    return frozenset(key for key, artefact in found.items() if isinstance(artefact, Responses))


def served(scores: Scores, kept: frozenset[str]) -> Scores:
    """The same scores of a server's answers.

    Args:
        scores: As planned for the resident model.
        kept: Keys of answers that stay the resident model's: `trained_on`.
    """
    made: Scores = _served(scores, kept)
    return made


def _served(value: Any, kept: frozenset[str]) -> Any:
    match value:
        case Checkpoint() | Dataset():
            return value
        case Responses() if value.key in kept or writers.model(value.checkpoint.base) is not None:
            return value
        case Record():
            # Built anew, not copied: a copy would take the old key with it.
            fields = {name: _served(getattr(value, name), kept) for name in type(value).model_fields}
            return type(value)(**fields | ({"serving": "served"} if isinstance(value, Responses) else {}))
        case dict():
            return {name: _served(inner, kept) for name, inner in value.items()}
        case tuple():
            return tuple(_served(inner, kept) for inner in value)
        case _:
            return value
