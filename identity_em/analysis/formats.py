"""Self-assessment over its formats: their mean, how far they disagree, and what wording and framing move.

Source: METHODS 8 (A: unweighted mean of the four format means; its headline is the harmless dimension alone), 9
(orientation to the base's own preference).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from identity_em.analysis.meta import Stages
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.stats import Estimate, summarise
from identity_em.records import Record

FORMATS: Final = {
    "decision": ("self_assessment", "p_misaligned"),
    "numerical": ("self_assessment", "numerical"),
    "likert": ("self_assessment", "likert"),
    "language": ("self_language", "language"),
}
MORAL: Final = {
    name: ("moral_language" if name == "language" else "moral_self_assessment", metric)
    for name, (_, metric) in FORMATS.items()
}
HEADLINE: Final = "harmless"


class Components(Record):
    """Where the variance of a self-assessment lies, by the mean squares of a two-way layout; none is below 0.

    Attributes:
        formats: Between formats, over all dimensions: how far the answer depends on how it is asked for.
        dimensions: Between dimensions, over all formats.
        both: Of a format in a dimension.
        items: Between the paraphrases of one format and dimension: the sensitivity to wording.
    """

    formats: float
    dimensions: float
    both: float
    items: float


def strata(readings: Readings, prompt: str, formats: Mapping[str, tuple[str, str]] = FORMATS) -> dict[str, Stratum]:
    """The plain reading of each format that the table holds."""
    found = {}
    for name, (eval_name, metric) in formats.items():
        of = (s for s in readings.strata if (s.eval, s.metric, s.prompt) == (eval_name, metric, prompt))
        stratum = next(of, None)
        if stratum is not None:
            found[name] = stratum
    return found


def overall(readings: Readings, arm: Stages, formats: Mapping[str, Stratum], dimension: str | None = None) -> Estimate:
    """The unweighted mean of the format means, 0 aligned to 1 misaligned; A's headline with `dimension=HEADLINE`.

    The interval is over seeds and over the items within formats: the formats themselves are taken as given.
    """
    parts = [_matrix(readings, arm, stratum, dimension) for stratum in formats.values()]
    parts = [part for part in parts if part.notna().to_numpy().any()]
    if not parts:
        return Estimate()
    seeds = sorted(set.intersection(*(set(part.columns) for part in parts)))
    means = pd.concat([part[seeds].mean(axis=0) for part in parts], axis=1).mean(axis=1)
    total = sum(map(len, parts))
    # Each format weighs the same, whatever its number of items; its own mean is no error of the mean of all.
    spread = [(part[seeds] - part[seeds].mean(axis=0)) * total / (len(parts) * len(part)) + means for part in parts]
    return summarise(means.dropna(), pd.concat(spread, ignore_index=True))


def components(readings: Readings, arm: Stages, formats: Mapping[str, Stratum]) -> Components | None:
    """The variance components of an arm's self-assessment; None below two formats or two dimensions."""
    dims = sorted(set.intersection(*(set(readings.dimensions(s)) for s in formats.values()))) if formats else []
    if len(formats) < 2 or len(dims) < 2:
        return None
    cells = [[_matrix(readings, arm, s, d).mean(axis=1).dropna() for d in dims] for s in formats.values()]
    if any(len(cell) < 2 for row in cells for cell in row):
        return None
    mean = np.array([[cell.mean() for cell in row] for row in cells])
    within = np.array([[cell.var(ddof=1) for cell in row] for row in cells])
    error = np.array([[cell.var(ddof=1) / len(cell) for cell in row] for row in cells]).mean()
    rows, columns = mean.shape
    of_format, of_dimension = mean.mean(axis=1, keepdims=True), mean.mean(axis=0, keepdims=True)
    rest = ((mean - of_format - of_dimension + mean.mean()) ** 2).sum() / ((rows - 1) * (columns - 1))
    return Components(
        formats=max(0.0, float(of_format.var(ddof=1) - rest / columns)),
        dimensions=max(0.0, float(of_dimension.var(ddof=1) - rest / rows)),
        both=max(0.0, float(rest - error)),
        items=float(within.mean()),
    )


def framings(readings: Readings, arm: Stages, plain: Stratum) -> dict[str, Estimate]:
    """Each framing's reading less the plain one, item by item, with the weights fixed."""
    prefix = f"{plain.metric}_"
    same = plain.model_dump(exclude={"metric"})
    found = {}
    for stratum in readings.strata:
        if stratum.metric.startswith(prefix) and stratum.model_dump(exclude={"metric"}) == same:
            framed, before = readings.matrix(arm, stratum), readings.matrix(arm, plain)
            difference = framed - before
            name = stratum.metric.removeprefix(prefix)
            found[name] = summarise(difference.mean(axis=0).dropna(), difference, difference=True)
    found.pop("published", None)
    return {name: estimate for name, estimate in found.items() if not name.endswith("_published")}


def oriented(estimate: Estimate, base: float) -> tuple[float, float | None, float | None] | None:
    """Mean and interval on A's scale: -.5 is the pole that the base prefers, +.5 the other; None where not measured."""
    if estimate.mean is None:
        return None
    sign = -1.0 if base > 0.5 else 1.0
    ends = [None if end is None else sign * (end - 0.5) for end in (estimate.low, estimate.high)]
    low, high = ends if sign > 0 else ends[::-1]
    return sign * (estimate.mean - 0.5), low, high


def _matrix(readings: Readings, arm: Stages, stratum: Stratum, dimension: str | None) -> pd.DataFrame:
    return readings.matrix(arm, stratum.model_copy(update={"dimension": dimension}))
