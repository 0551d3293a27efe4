"""The figures of a report: which data go into which drawing, and the rows behind each as CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Final

from identity_em.analysis import explain
from identity_em.analysis.contrasts import Difference, Finding
from identity_em.analysis.meta import Stages, arm_name
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.stats import Estimate
from identity_em.records import Record
from identity_em.report import recognition, words
from identity_em.report.plots import Bar, Drawing, Group, Panel, Point, dots, forest
from identity_em.report.tree import prefixes, tree

Cell = str | int | float | None


class Figure(Record):
    """One figure: what it is called, what it shows, the drawing, and the data behind it."""

    name: str
    title: str
    caption: str
    drawing: Drawing
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def csv(self) -> str:
        """The data as CSV; a text that a spreadsheet would run as a formula is quoted with an apostrophe."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([[_inert(cell) for cell in row] for row in self.rows])
        return out.getvalue()


_ESTIMATE: Final = ("cell", "seed", "value", "low", "high", "rests_on")
_CELL: Final = ("eval", "metric", "author", "comparator", "eval_system_prompt")


def arms(readings: Readings) -> Figure:
    """The tree of arms."""
    meta = readings.meta
    declared = meta.arms or readings.arms
    focus = frozenset(contrast.reference[-1] for contrast in meta.contrasts.values() if contrast.reference)
    nodes = prefixes(declared)
    seeds = f"{len(meta.seeds)} training seed{'s' if len(meta.seeds) != 1 else ''}"
    caption = (
        f"{len(declared)} arms. Each node is a checkpoint, trained on top of the one to its left with {seeds}; "
        "shared prefixes are trained once. Outlined in colour: the stage that contrasts refer to. "
        "Dashed: a step on the way that is no arm itself."
    )
    rows = tuple((arm_name(n), arm_name(n[:-1]) if n else None, "yes" if n in declared else "no") for n in nodes)
    drawing = tree(arms=declared, focus=focus, description="; ".join(words.arm(arm) for arm in declared))
    return Figure(
        name="arms", title="Arms", caption=caption, drawing=drawing, columns=("node", "parent", "is_arm"), rows=rows
    )


def effects(readings: Readings, strata: Sequence[Stratum]) -> Figure:
    """Every outcome by arm."""
    panels = []
    for stratum in strata:
        points = [Point(arm=arm, series=0, estimate=readings.estimate(arm, stratum)) for arm in readings.arms]
        panels.append(_panel(readings, stratum, points, readings.estimate((), stratum)))
    title = "Outcomes by arm"
    drawing = dots(name="effects", title=title, description=_described(panels), panels=panels, series=("mean",))
    caption = (
        "Mark and line: mean and 95 % interval; ticks below: each training seed. Dashed line and band: the base "
        "and its interval over items (one run). Unscored answers are in no mean."
    )
    rows = tuple(row for s in strata for arm in readings.arms for row in _rows(arm, s, readings.estimate(arm, s)))
    columns = ("arm", *_CELL, *_ESTIMATE)
    return Figure(name="effects", title=title, caption=caption, drawing=drawing, columns=columns, rows=rows)


def contrast_forest(readings: Readings, stratum: Stratum, findings: Sequence[Finding], name: str) -> Figure:
    """Treatment, control and excess of every contrast, in one reading."""
    meta = readings.meta
    title = f"Contrasts: {words.title(meta, stratum)}"
    side = words.better(meta, stratum)
    axis_title = f"difference in {words.title(meta, stratum)}" + (f" ({side})" if side else "")
    groups = [_group(finding) for finding in findings]
    described = "; ".join(f"{g.title}: " + ", ".join(f"{b.label} {b.verdict}" for b in g.bars) for g in groups)
    drawing = forest(name=name, title=title, description=described, axis_title=axis_title, groups=groups)
    caption = (
        "Mean difference and 95 % interval, paired by training seed (by item where there is one seed). Excess: the "
        "treatment's effect less the "
        "control's, its verdict corrected (Holm) for the contrasts that ask the same question. An interval that spans "
        "zero is inconclusive, whatever its mean."
    )
    rows = tuple(row for finding in findings for row in _finding_rows(finding))
    columns = ("contrast", "role", *_CELL, *_ESTIMATE, "verdict")
    return Figure(name=name, title=title, caption=caption, drawing=drawing, columns=columns, rows=rows)


def recognise(readings: Readings, prompt: str) -> Figure:
    """Recognition of base and of current summaries per comparator, beside the best shortcut."""
    panels, rows = [], []
    found = recognition.strata(readings, prompt)
    for comparator in dict.fromkeys(recognition.against(readings, s) for s in found):
        points = []
        for stratum in (s for s in found if recognition.against(readings, s) == comparator):
            place = recognition.AUTHORS.index(stratum.author or "")
            # The base's current summaries are the base's own: drawn once.
            for arm in readings.arms if place == 0 else filter(None, readings.arms):
                estimate, best = readings.estimate(arm, stratum), recognition.shortcut(readings, arm, stratum)
                tick = None if best is None else best.estimate.mean
                points.append(Point(arm=arm, series=place, estimate=estimate, tick=tick))
                rows += [(*row, best and best.name, tick) for row in _rows(arm, stratum, estimate)]
        guide = Estimate(mean=0.5)
        panels.append(Panel(title=f"against {comparator}", subtitle="", points=tuple(points), guide=guide))
    series = ("recognises the base's summaries", "recognises its own current summaries")
    title = "Self-recognition by arm"
    drawing = dots(
        name="recognition", title=title, description=_described(panels), panels=panels, series=series, shared=True
    )
    caption = (
        "Probability given to the own summary: mean and 95 % interval; ticks below: each seed. Pale bars: the best "
        "shortcut, which sees no more than the two texts' surface. Dashed: chance."
    )
    columns = ("arm", *_CELL, *_ESTIMATE, "best_shortcut", "shortcut_accuracy")
    return Figure(name="recognition", title=title, caption=caption, drawing=drawing, columns=columns, rows=tuple(rows))


def prompts(readings: Readings, strata: Sequence[Stratum]) -> Figure:
    """Every outcome by arm under each eval system prompt."""
    panels, rows = [], []
    for stratum in strata:
        points = []
        for series, prompt in enumerate(readings.prompts):
            under = stratum.model_copy(update={"prompt": prompt})
            for arm in readings.arms:
                estimate = readings.estimate(arm, under)
                points.append(Point(arm=arm, series=series, estimate=estimate))
                rows += _rows(arm, under, estimate)
        panels.append(_panel(readings, stratum, points, None))
    title = "Outcomes under each system prompt at evaluation"
    drawing = dots(name="prompts", title=title, description=_described(panels), panels=panels, series=readings.prompts)
    caption = "Mean and 95 % interval by arm; ticks below: each seed. The prompt is the one sent at evaluation."
    columns = ("arm", *_CELL, *_ESTIMATE)
    return Figure(name="prompts", title=title, caption=caption, drawing=drawing, columns=columns, rows=tuple(rows))


def _panel(readings: Readings, stratum: Stratum, points: Sequence[Point], guide: Estimate | None) -> Panel:
    title = words.title(readings.meta, stratum.model_copy(update={"judge": ""}))
    judge = f"judged by {stratum.judge}" if stratum.judge else ""
    subtitle = " · ".join(part for part in (stratum.eval, words.better(readings.meta, stratum), judge) if part)
    return Panel(title=title, subtitle=subtitle, points=tuple(points), guide=guide)


def _group(finding: Finding) -> Group:
    contrast = finding.contrast
    bars = [Bar(label="treatment", estimate=finding.treatment.shown, verdict=words.verdict(finding.treatment), look=0)]
    if finding.control and finding.excess:
        label = f"control: {words.arm(contrast.control or ())}"
        bars.append(Bar(label=label, estimate=finding.control.shown, verdict=words.verdict(finding.control), look=1))
        bars.append(Bar(label="excess", estimate=finding.excess.shown, verdict=words.verdict(finding.excess), look=-1))
    caveat = "" if finding.readable else " (reference not shown to differ from base)"
    detail = f"{words.arm(contrast.treatment)}, against {words.arm(contrast.reference)}{caveat}"
    return Group(title=finding.name, detail=detail, bars=tuple(bars))


def _finding_rows(finding: Finding) -> list[tuple[Cell, ...]]:
    roles: dict[str, Difference | None] = {
        "reference - base": finding.manipulation,
        "treatment - reference": finding.treatment,
        "control - reference": finding.control,
        "excess over control": finding.excess,
    }
    return [
        (finding.name, role, *row[1:], found.words)
        for role, found in roles.items()
        if found is not None
        for row in _rows(finding.contrast.treatment, finding.stratum, found.shown)
    ]


def _rows(arm: Stages, stratum: Stratum, estimate: Estimate) -> list[tuple[Cell, ...]]:
    """The mean first, then each seed; empty where nothing was asked."""
    if estimate.mean is None:
        return []
    cell = (arm_name(arm), stratum.eval, stratum.metric, stratum.author, stratum.comparator, stratum.prompt)
    named = (*cell, explain.name(arm, stratum))
    mean = (*named, "mean", estimate.mean, estimate.low, estimate.high, estimate.rests_on)
    if len(estimate.seeds) < 2:
        return [mean]
    return [mean, *((*named, seed, value, None, None, "") for seed, value in estimate.seeds)]


def _described(panels: Sequence[Panel]) -> str:
    said = []
    for panel in panels:
        means = [f"{words.arm(p.arm)} {words.number(p.estimate.mean)}" for p in panel.points if p.series == 0]
        said.append(f"{panel.title}: {', '.join(means)}")
    return "; ".join(said)


def _inert(cell: Cell) -> Cell:
    if isinstance(cell, float):
        return f"{cell:.6g}"
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
