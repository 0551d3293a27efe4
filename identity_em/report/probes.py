"""Probes of activations: two directions in each checkpoint, beside shuffled labels, and whether one is the other."""

from collections.abc import Sequence

from identity_em.analysis.probed import Probed
from identity_em.report import words
from identity_em.report.content import Section, Table


def section(found: Sequence[Probed]) -> Section | None:
    """The best layer of each checkpoint, and every layer folded; None where nothing was probed."""
    if not found:
        return None
    best = tuple(_row(one, one.layers.index(one.best)) for one in found)
    every = tuple(_row(one, place) for one in found for place in range(len(one.layers)))
    said = (
        "Each probe is a linear classifier of the last token's residual activations, its accuracy that of held-out "
        "folds; beside it stands the same probe on shuffled labels, which is what is fitted where there is nothing. "
        "Harm: harmful against harmless answers as judged. Claims: misaligned against aligned statements about "
        "oneself. Every checkpoint reads the same texts. Across: a probe of the one tried on the other, .5 is chance.",
    )
    tables = (
        Table(title="At the layer where harm is read best", columns=_COLUMNS, rows=best, words=frozenset({0})),
        Table(title="Every layer", columns=_COLUMNS, rows=every, words=frozenset({0}), folded=True),
    )
    return Section(ident="probes", title="Directions in activations", words=said, tables=tables)


_COLUMNS = (
    "Arm", "Seed", "Layer", "Harm", "Shuffled", "Claims", "Shuffled", "Cosine", "Cosine of means", "Harm on claims",
    "Claims on harm", "First arm's harm probe",
)  # fmt: skip


def _row(one: Probed, place: int) -> tuple[str, ...]:
    pair = one.layers[place]
    return (
        words.arm(one.arm),
        words.ABSENT if one.seed is None else str(one.seed),
        str(pair.harm.layer),
        *(words.number(v) for v in (pair.harm.accuracy, pair.harm.shuffled)),
        *(words.number(v) for v in (pair.claims.accuracy, pair.claims.shuffled)),
        *(words.difference(v) for v in (pair.cosine, pair.cosine_means)),
        *(words.number(v) for v in (pair.harm_to_claims, pair.claims_to_harm, pair.from_first)),
    )
