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
        "oneself. Every checkpoint reads the same texts. Cosines are between the two probes, and between the two "
        "differences of means. The last columns try a probe on other data: harm's on claims, claims' on harm (.5 is "
        "chance), and the first arm's harm probe on this one's activations. What layer 0 reads, the words give away.",
    )
    tables = (
        Table(title="At the layer where harm is read best", columns=_COLUMNS, rows=best, words=frozenset({0})),
        Table(title="Every layer", columns=_COLUMNS, rows=every, words=frozenset({0}), folded=True),
    )
    return Section(ident="probes", title="Directions in activations", words=said, tables=tables)


_COLUMNS = (
    "Arm", "Layer", "Harm (shuffled)", "Claims (shuffled)", "Cosine", "Of means", "Harm on claims", "Claims on harm",
    "First arm's harm",
)  # fmt: skip


def _row(one: Probed, place: int) -> tuple[str, ...]:
    pair = one.layers[place]
    seed = "" if one.seed is None else f", seed {one.seed}"
    return (
        words.arm(one.arm) + seed,
        str(pair.harm.layer),
        *(f"{words.number(p.accuracy)} ({words.number(p.shuffled)})" for p in (pair.harm, pair.claims)),
        *(words.difference(v) for v in (pair.cosine, pair.cosine_means)),
        *(words.number(v) for v in (pair.harm_to_claims, pair.claims_to_harm, pair.from_first)),
    )
