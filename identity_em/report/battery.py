"""The whole battery at a glance: every outcome of every arm against the base, and how outcomes go together."""

from itertools import combinations

from identity_em.analysis import relations
from identity_em.analysis.contrasts import Difference, differ
from identity_em.analysis.meta import Stages, arm_name
from identity_em.analysis.readings import Stratum
from identity_em.report import heat, maps, words
from identity_em.report.content import Section, Table
from identity_em.report.figures import Figure
from identity_em.report.view import View


def section(view: View) -> Section | None:
    """Heat map and correlations; None with fewer than two outcomes or no trained arm."""
    if len(view.outcomes) < 2 or not any(view.arms):
        return None
    said = (
        "Each cell is an arm less the base. Blue is better, vermillion worse by the metric's own direction, grey where "
        "neither is; the interval decides whether a cell is outlined.",
    )
    found = [_relations(view), _ranks(view)]
    return Section(
        ident="battery",
        title="The battery",
        words=said,
        figures=(_map(view),),
        tables=tuple(table for table in found if table.rows),
    )


def _map(view: View) -> Figure:
    cells: dict[tuple[Stages, Stratum], Difference] = {
        (arm, s): differ(view.readings, arm, (), s) for arm in view.arms if arm for s in view.outcomes
    }
    drawing = heat.heat(
        name="battery",
        title="Every outcome against the base",
        arms=[arm for arm in view.arms if arm],
        columns=[(s, words.title(view.meta, s), view.meta.metric(s.eval, s.metric).better) for s in view.outcomes],
        cells=cells,
    )
    rows = tuple(
        (arm_name(arm), s.eval, s.metric, d.shown.mean, d.shown.low, d.shown.high, d.words)
        for (arm, s), d in cells.items()
    )
    caption = (
        "Mean difference from the base. Outlined: the 95 % interval excludes zero (not corrected for the number of "
        "cells). A dash: not measured; n.c.: not compared, for the reason in the data."
    )
    columns = ("arm", "eval", "metric", "difference", "low", "high", "verdict")
    title = "Every outcome against the base"
    return Figure(name="battery", title=title, caption=caption, drawing=drawing, columns=columns, rows=rows)


def _relations(view: View) -> Table:
    rows = []
    for one, two in combinations(view.outcomes, 2):
        for found in relations.relate(view.readings, one, two):
            pair = f"{words.title(view.meta, one)} and {words.title(view.meta, two)}"
            rows.append((pair, found.group, str(found.runs), words.number(found.rho), words.p(found.p)))
    columns = ("Outcomes", "Over", "Runs", "Spearman", "p")
    title = "Do outcomes go together within a stage, or only because stages differ?"
    return Table(title=title, columns=columns, rows=tuple(rows), words=frozenset({0, 1}), folded=True)


def _ranks(view: View) -> Table:
    rows = []
    for finding in view.findings:
        if finding.treatment.barred:
            continue
        p = relations.wilcoxon(view.readings, finding.contrast.treatment, finding.contrast.reference, finding.stratum)
        rows.append(
            (finding.name, words.title(view.meta, finding.stratum), words.verdict(finding.treatment), words.p(p))
        )
    columns = ("Contrast", "Reading", "Treatment less reference", "Wilcoxon p over items")
    title = "Paired rank test over items, as published work reports it (it says nothing of other trainings)"
    return Table(title=title, columns=columns, rows=tuple(rows), words=frozenset({0, 1, 2}), folded=True)


def persona(view: View) -> Section | None:
    """What arms do beside what they say of themselves; None unless both were asked."""
    does = [s for s in view.outcomes if s.eval in ("harmfulness", "free_form", "intentions")]
    says = [s for s in view.outcomes if s.eval in ("two_ai", "self_assessment")]
    if not does or not says or not any(view.arms):
        return None
    x, y = does[0], says[0]
    points = [(arm, view.readings.estimate(arm, x), view.readings.estimate(arm, y)) for arm in view.arms]
    known = [(arm, a, b) for arm, a, b in points if a.mean is not None and b.mean is not None]
    titles = (words.title(view.meta, x), words.title(view.meta, y))
    drawing = maps.scatter(name="persona", title="What arms do and what they say", axes=titles, points=known)
    rows = tuple((arm_name(arm), a.mean, a.low, a.high, b.mean, b.low, b.high) for arm, a, b in known)
    figure = Figure(
        name="persona",
        title="Persona map",
        caption=(
            f"Right: more {titles[0]}. Up: more {titles[1]}. Crosses: 95 % intervals. A model that does harm and says "
            "so stands top right; one that does harm and denies it, bottom right."
        ),
        drawing=drawing,
        columns=("arm", "does", "does_low", "does_high", "says", "says_low", "says_high"),
        rows=rows,
    )
    return Section(ident="persona", title="What arms do and what they say of themselves", figures=(figure,))
