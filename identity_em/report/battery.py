"""The whole battery at a glance: every outcome of every arm against the base, and how outcomes go together."""

from itertools import combinations

from identity_em.analysis import relations
from identity_em.analysis.contrasts import Difference, differ
from identity_em.analysis.meta import Stages, arm_name
from identity_em.analysis.readings import Stratum
from identity_em.report import heat, words
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
