"""Self-recognition in a report: which readings there are, the best shortcut beside each, and before against after."""

from typing import Final

from identity_em.analysis.contrasts import Difference, differ
from identity_em.analysis.meta import Stages
from identity_em.analysis.readings import SHORTCUT, Readings, Stratum
from identity_em.analysis.stats import Estimate
from identity_em.records import Record

AUTHORS: Final = ("base", "current")


class Shortcut(Record):
    """A rule that asks no model, and how often it finds the own summary."""

    name: str
    estimate: Estimate


class Row(Record):
    """Recognition before (base) and after (one arm), of one author's summaries against one comparator."""

    comparator: str
    author: str
    arm: Stages
    before: Estimate
    after: Estimate
    change: Difference
    shortcut_before: Shortcut | None
    shortcut_after: Shortcut | None


def strata(readings: Readings, prompt: str) -> list[Stratum]:
    """The recognition readings under one prompt: comparator by comparator, base summaries first."""
    found = [s for s in readings.strata if s.author in AUTHORS and not s.shortcut and s.prompt == prompt]
    return sorted(found, key=lambda s: (s.eval, s.version, s.metric, s.comparator or "", s.author or ""))


def against(readings: Readings, stratum: Stratum) -> str:
    """The comparator, with the version where it is not the eval's first."""
    first = readings.meta.version(stratum.eval)
    other = f" (version {stratum.version})" if first and stratum.version != first else ""
    return f"{stratum.comparator or ''}{other}"


def shortcut(readings: Readings, arm: Stages, stratum: Stratum) -> Shortcut | None:
    """The shortcut that does best on the same summaries; prompts do not matter, as no model is asked."""
    which = (stratum.eval, stratum.version)
    same = {
        (s.metric, s.prompt) for s in readings.strata if s.metric.startswith(SHORTCUT) and (s.eval, s.version) == which
    }
    metrics = dict(sorted(same, reverse=True))
    found = []
    for metric, prompt in sorted(metrics.items()):
        of = stratum.model_copy(update={"metric": metric, "prompt": prompt, "judge": None})
        estimate = readings.estimate(arm, of)
        if estimate.mean is not None:
            found.append(Shortcut(name=title(readings, of), estimate=estimate))
    return max(found, key=lambda s: s.estimate.mean or 0.0, default=None)


def title(readings: Readings, stratum: Stratum) -> str:
    """A shortcut in words."""
    known = readings.meta.evals.get(stratum.eval)
    if known and stratum.metric in known.metrics:
        return known.metrics[stratum.metric].title.removeprefix("Shortcut: ")
    return stratum.metric.removeprefix(SHORTCUT).replace("_", " ")


def before_and_after(readings: Readings, prompt: str, arms: list[Stages]) -> list[Row]:
    """One row per reading and arm that was asked."""
    rows = []
    for stratum in strata(readings, prompt):
        for arm in arms:
            after = readings.estimate(arm, stratum)
            if after.mean is not None:
                rows.append(_row(readings, arm, stratum, after))
    return rows


def _row(readings: Readings, arm: Stages, stratum: Stratum, after: Estimate) -> Row:
    return Row(
        comparator=against(readings, stratum),
        author=stratum.author or "",
        arm=arm,
        before=readings.estimate((), stratum),
        after=after,
        change=differ(readings, arm, (), stratum),
        shortcut_before=shortcut(readings, (), stratum),
        shortcut_after=shortcut(readings, arm, stratum),
    )
