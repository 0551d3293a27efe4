"""Declared comparisons: treatment and control against the reference, the excess over control, and a verdict in words.

The manipulation check comes first: an intervention against EM says nothing where EM itself did nothing. An interval
that spans zero is "inconclusive", never "no effect" (METHODS 11).
"""

from typing import Literal

from identity_em.analysis.meta import ContrastMeta, Stages
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.stats import Estimate, summarise
from identity_em.records import Record

Direction = Literal["higher", "lower", "inconclusive", "not measured"]


class Difference(Record):
    """A difference of two arms (or of two differences) and what may be said of it."""

    estimate: Estimate

    @property
    def direction(self) -> Direction:
        """Which way the interval points."""
        if self.estimate.mean is None:
            return "not measured"
        if self.estimate.spans_zero:
            return "inconclusive"
        return "higher" if self.estimate.mean > 0 else "lower"

    @property
    def words(self) -> str:
        """The verdict: "lower by 0.21 [0.12, 0.30]", or "inconclusive: -0.02 [-0.09, 0.05]"."""
        mean, low, high = self.estimate.mean, self.estimate.low, self.estimate.high
        if mean is None:
            return "not measured"
        if low is None or high is None:
            return f"inconclusive: {signed(mean)}, no interval"
        if self.direction == "inconclusive":
            return f"inconclusive: {signed(mean)} [{signed(low)}, {signed(high)}]"
        near, far = sorted((abs(low), abs(high)))
        # An interval that misses zero by less than the last digit must not be printed as touching it.
        digits = 2 if near >= 0.005 else 4
        return f"{self.direction} by {abs(mean):.{digits}f} [{near:.{digits}f}, {far:.{digits}f}]"


class Finding(Record):
    """One declared contrast, read in one stratum.

    Attributes:
        manipulation: Reference less base; None where the reference is the base.
        treatment: Treatment less reference.
        control: Control less reference; None where no control was declared.
        excess: (Treatment less reference) less (control less reference), paired by seed.
    """

    name: str
    contrast: ContrastMeta
    stratum: Stratum
    manipulation: Difference | None
    treatment: Difference
    control: Difference | None
    excess: Difference | None

    @property
    def readable(self) -> bool:
        """Whether the reference was shown to differ from the base."""
        return self.manipulation is None or self.manipulation.direction in ("higher", "lower")


def differ(readings: Readings, arm: Stages, other: Stages, stratum: Stratum) -> Difference:
    """`arm` less `other`."""
    return Difference(estimate=readings.difference(arm, other, stratum))


def excess(readings: Readings, contrast: ContrastMeta, stratum: Stratum) -> Difference | None:
    """The treatment's effect less the control's, each against the reference, paired by seed."""
    if contrast.control is None:
        return None
    treatment, control = (
        readings.paired(arm, contrast.reference, stratum) for arm in (contrast.treatment, contrast.control)
    )
    seeds = [seed for seed in treatment.columns if seed in control.columns]
    items = treatment.reindex(columns=seeds) - control.reindex(columns=seeds)
    effects = readings.paired_means(contrast.treatment, contrast.reference, stratum)
    benign = readings.paired_means(contrast.control, contrast.reference, stratum)
    return Difference(estimate=summarise((effects - benign).dropna(), items, difference=True))


def find(readings: Readings, name: str, stratum: Stratum) -> Finding:
    """The contrast called `name`, read in `stratum`."""
    contrast = readings.meta.contrasts[name]
    return Finding(
        name=name,
        contrast=contrast,
        stratum=stratum,
        manipulation=differ(readings, contrast.reference, (), stratum) if contrast.reference else None,
        treatment=differ(readings, contrast.treatment, contrast.reference, stratum),
        control=differ(readings, contrast.control, contrast.reference, stratum) if contrast.control else None,
        excess=excess(readings, contrast, stratum),
    )


def signed(value: float) -> str:
    """Two decimals with a sign; "0.00" where it rounds to nothing."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text
