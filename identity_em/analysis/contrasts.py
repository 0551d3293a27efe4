"""Declared comparisons: treatment and control against the reference, the excess over control, and a verdict in words.

The manipulation check comes first: an intervention against EM says nothing where EM itself did nothing. An interval
that spans zero is "inconclusive", never "no effect"; "equivalent" needs a margin stated beforehand and two one-sided
tests (METHODS 11). A cell that is not what it seems is not compared, and says why.
"""

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from identity_em.analysis import gates
from identity_em.analysis.families import benjamini_hochberg, holm
from identity_em.analysis.meta import ContrastMeta, Stages
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.stats import LEVEL, Estimate, summarise
from identity_em.records import Record

Direction = Literal["higher", "lower", "equivalent", "inconclusive", "not measured", "not compared"]


class Difference(Record):
    """A difference of two arms (or of two differences) and what may be said of it.

    Attributes:
        margin: Differences below it count as none; None where the study states none.
        holm: p after Holm's correction within its family; None where it belongs to none.
        rate: The same after Benjamini and Hochberg, across all families of a report.
        barred: Why it is not compared; "" where it is.
        fragile: Whether unscored answers alone could turn its sign.
    """

    estimate: Estimate
    margin: float | None = None
    holm: float | None = None
    rate: float | None = None
    barred: str = ""
    fragile: bool = False

    @property
    def direction(self) -> Direction:
        """What the interval, the correction and the margin allow to be said."""
        if self.estimate.mean is None:
            return "not measured"
        if self.barred:
            return "not compared"
        if not (self.estimate.spans_zero or self.fragile or self._taken_back):
            return "higher" if self.estimate.mean > 0 else "lower"
        return "equivalent" if self.equivalent else "inconclusive"

    @property
    def equivalent(self) -> bool:
        """Whether the difference is shown to be within the margin."""
        return self.margin is not None and not self.fragile and self.estimate.equivalent(self.margin)

    @property
    def _taken_back(self) -> bool:
        return self.holm is not None and self.holm >= 1 - LEVEL

    @property
    def shown(self) -> Estimate:
        """The estimate to print or draw: nothing where it is not compared."""
        return Estimate() if self.barred else self.estimate

    @property
    def words(self) -> str:
        """The verdict: "lower by 0.21 [0.12, 0.30]", or "inconclusive: -0.02 [-0.09, 0.05]"."""
        mean, low, high = self.estimate.mean, self.estimate.low, self.estimate.high
        if mean is None:
            return "not measured"
        if self.barred:
            return f"not compared: {self.barred}"
        if low is None or high is None:
            return f"inconclusive: {signed(mean)}, no interval"
        if self.direction in ("inconclusive", "equivalent"):
            inner = self.estimate.inner if self.direction == "equivalent" else None
            ends, level = (inner, ", 90 %") if inner else ((low, high), "")
            digits = 3 if ends[1] - ends[0] < 0.1 else 2
            said = [signed(value, digits) for value in (mean, *ends)]
            return f"{self._said}: {said[0]} [{said[1]}, {said[2]}{level}]"
        near, far = sorted((abs(low), abs(high)))
        # An interval that misses zero by less than the last digit must not be printed as touching it.
        digits = 2 if near >= 0.005 else 3
        # An end that would be rounded to nought is not nought.
        closest = f"{near:.{digits}f}" if near >= 0.0005 else "above 0"
        size = f"{abs(mean):.{digits}f}" if abs(mean) >= 0.0005 else "under 0.001"
        within = f", yet equivalent within {self.margin:.2f}" if self.equivalent else ""
        return f"{self.direction} by {size} [{closest}, {far:.{digits}f}]{within}"

    @property
    def _said(self) -> str:
        if self.equivalent:
            return f"equivalent within {self.margin:.2f}"
        if self.estimate.spans_zero:
            return "inconclusive"
        return "inconclusive given unscored answers" if self.fragile else "inconclusive after Holm"


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

    @property
    def headline(self) -> Difference:
        """What the contrast is declared for: the excess over control, or the treatment where there is no control."""
        return self.excess or self.treatment

    @property
    def family(self) -> tuple[Stratum, Stages, bool]:
        """Contrasts that answer one question: one reading, one reference, before it or after it."""
        length = len(self.contrast.reference)
        return self.stratum, self.contrast.reference, self.contrast.treatment[:length] == self.contrast.reference


def differ(readings: Readings, arm: Stages, other: Stages, stratum: Stratum) -> Difference:
    """`arm` less `other`."""
    return _judged(readings, readings.difference(arm, other, stratum), stratum, arm, other)


def excess(readings: Readings, contrast: ContrastMeta, stratum: Stratum) -> Difference | None:
    """The treatment's effect less the control's, each against the reference, paired by seed."""
    if contrast.control is None:
        return None
    estimate = summarise(*beyond(readings, contrast, stratum), difference=True)
    return _judged(readings, estimate, stratum, contrast.treatment, contrast.control, contrast.reference)


def beyond(readings: Readings, contrast: ContrastMeta, stratum: Stratum) -> "tuple[pd.Series[float], pd.DataFrame]":
    """The excess over control: one number per seed, and items x seeds; the treatment's effect without a control."""
    items = readings.paired(contrast.treatment, contrast.reference, stratum)
    means = readings.paired_means(contrast.treatment, contrast.reference, stratum)
    if contrast.control is None:
        return means, items
    control = readings.paired(contrast.control, contrast.reference, stratum)
    seeds = [seed for seed in items.columns if seed in control.columns]
    benign = readings.paired_means(contrast.control, contrast.reference, stratum)
    return (means - benign).dropna(), items.reindex(columns=seeds) - control.reindex(columns=seeds)


def interaction(readings: Readings, one: ContrastMeta, two: ContrastMeta, stratum: Stratum) -> Difference:
    """A difference of differences: what contrast `two` finds less what `one` finds, paired by seed and item."""
    (first, first_items), (second, second_items) = (beyond(readings, c, stratum) for c in (one, two))
    seeds = [seed for seed in second_items.columns if seed in first_items.columns]
    items = second_items.reindex(columns=seeds) - first_items.reindex(columns=seeds)
    estimate = summarise((second - first).dropna(), items, difference=True)
    arms = [arm for c in (one, two) for arm in (c.treatment, c.control, c.reference) if arm is not None]
    return _judged(readings, estimate, stratum, *dict.fromkeys(arms))


def twins(readings: Readings) -> list[tuple[str, str]]:
    """Pairs of contrasts that differ only in the system prompt that a stage was trained under."""
    meta, found = readings.meta, []
    names = list(meta.contrasts)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            one, two = (meta.contrasts[name].treatment for name in (first, second))
            kinds = [[meta.stages[s].dataset if s in meta.stages else s for s in arm] for arm in (one, two)]
            if (
                kinds[0] == kinds[1]
                and one != two
                and meta.contrasts[first].reference == meta.contrasts[second].reference
            ):
                found.append((first, second))
    return found


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


def corrected(findings: Sequence[Finding]) -> list[Finding]:
    """The same findings, their headlines corrected by Holm within each family and by Benjamini-Hochberg across all."""
    tested = [(i, f.headline.estimate.p) for i, f in enumerate(findings) if not f.headline.barred]
    values = {i: p for i, p in tested if p is not None}
    rates = dict(zip(values, benjamini_hochberg(list(values.values())), strict=True))
    families: dict[tuple[Stratum, Stages, bool], list[int]] = {}
    for i in values:
        families.setdefault(findings[i].family, []).append(i)
    within = {i: p for of in families.values() for i, p in zip(of, holm([values[i] for i in of]), strict=True)}
    return [_with(f, within[i], rates[i]) if i in values else f for i, f in enumerate(findings)]


def _with(finding: Finding, within: float, rate: float) -> Finding:
    headline = finding.headline.model_copy(update={"holm": within, "rate": rate})
    return finding.model_copy(update={"treatment" if finding.excess is None else "excess": headline})


def _judged(readings: Readings, estimate: Estimate, stratum: Stratum, *arms: Stages) -> Difference:
    barred = next(filter(None, (gates.barred(readings, arm, stratum) for arm in arms)), "")
    return Difference(
        estimate=estimate,
        margin=readings.meta.metric(stratum.eval, stratum.metric).margin,
        barred=barred,
        fragile=gates.fragile(readings, estimate, stratum, *arms[:2]),
    )


def signed(value: float, digits: int = 2) -> str:
    """A number with a sign; "0.00" where it rounds to nothing."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text
