"""Two linear probes of each checkpoint as figures: harmful answers, claims about oneself, and how alike they are.

The records alone, without what computes them (`directions`): a report needs no scikit-learn.

Source: METHODS 10 (B's probes; layer and position are not published: layers are swept, last prompt token).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from identity_em.records import Record

FILE = "probes.json"


class Layer(Record):
    """A probe at one layer.

    Attributes:
        accuracy: Mean over held-out folds, balanced by stratification.
        folds: That of each.
        shuffled: The same with labels dealt out at random: what is fitted where there is nothing.
    """

    layer: int
    accuracy: float
    folds: tuple[float, ...]
    shuffled: float


class Pair(Record):
    """Both probes of one checkpoint at one layer.

    Attributes:
        harm: Tells harmful from harmless answers that are shown.
        claims: Tells misaligned from aligned claims about oneself.
        cosine: Between the two probes' directions.
        cosine_means: Between the two differences of means.
        harm_to_claims: Accuracy of the harm probe on claims; .5 is chance.
        claims_to_harm: And the other way round.
        from_first: Accuracy of the first checkpoint's harm probe on this one's activations.
    """

    harm: Layer
    claims: Layer
    cosine: float
    cosine_means: float
    harm_to_claims: float
    claims_to_harm: float
    from_first: float


class Probed(Record):
    """One checkpoint's probes, layer by layer.

    Attributes:
        answers: How many shown answers were read, and how many of them harmful.
        statements: How many claims, and how many of them misaligned.
    """

    arm: tuple[str, ...]
    seed: int | None
    answers: tuple[int, int]
    statements: tuple[int, int]
    layers: tuple[Pair, ...]

    @property
    def best(self) -> Pair:
        """The layer at which the harm probe stands furthest above its shuffled control."""
        return max(self.layers, key=lambda pair: pair.harm.accuracy - pair.harm.shuffled)


_ALL = TypeAdapter(tuple[Probed, ...])


def write(found: Sequence[Probed], path: Path) -> None:
    """Write the figures as JSON; the same figures give the same bytes."""
    path.write_bytes(_ALL.dump_json(tuple(found), indent=1) + b"\n")


def read(path: Path) -> tuple[Probed, ...]:
    """The figures in `path`; none where there is no such file."""
    return _ALL.validate_json(path.read_bytes()) if path.is_file() else ()
