"""The head of a report: what the statistics say, in sentences that claim no more than the intervals do."""

from identity_em.analysis.contrasts import Difference, Finding
from identity_em.analysis.meta import Stages
from identity_em.report import hosted, quality, recognition, words
from identity_em.report.content import Point, Section
from identity_em.report.view import View


def summary(view: View) -> Section:
    """The summary section."""
    points = [*hosted.points(view), *_manipulations(view), *_contrasts(view), *_recognition(view), *_notices(view)]
    return Section(ident="summary", title="Summary", words=(_opening(view), _units(view)), points=tuple(points))


def _opening(view: View) -> str:
    seeds = len(view.meta.seeds)
    runs = f"{seeds} training seeds" if seeds != 1 else "one training seed"
    said = f"{len(view.arms)} arms of {view.meta.base}, {runs}, were asked {len(_evals(view))} evals."
    if not view.checks:
        return f"{said} The study declares no checks of its instrument."
    held = sum(1 for result in view.checks if result.holds)
    failed = [result.check.says for result in view.checks if not result.holds]
    tail = "" if not failed else f" Not shown: {'; '.join(failed)}. Read what follows with that in mind."
    return f"{said} {held} of {len(view.checks)} checks of the instrument hold in every seed.{tail}"


def _units(view: View) -> str:
    seeds = len(view.meta.seeds)
    if seeds == 1:
        return (
            "One training seed: every interval is over items and says nothing about other training runs. "
            "An interval that spans zero is called inconclusive."
        )
    few = "" if seeds >= 5 else f" With {seeds} seeds, intervals are wide and corrections less sure."
    return (
        "Intervals are 95 %, over training seeds and items as crossed random factors; the base is one run and carries "
        "the uncertainty of its items only. An interval that spans zero is called inconclusive, which is not the same "
        "as no effect; equivalent means within a margin stated beforehand. Contrasts are corrected (Holm) for how many "
        f"ask the same question.{few}"
    )


def _evals(view: View) -> set[str]:
    return {stratum.eval for stratum in view.asked}


def _manipulations(view: View) -> list[Point]:
    points = []
    for arm in view.references:
        said = [_said(view, arm, view.manipulations[arm, s], i) for i, s in enumerate(view.outcomes)]
        if any(said):
            points.append(Point(lead=f"{words.arm(arm)} against base", text="; ".join(filter(None, said)) + "."))
    return points


def _said(view: View, arm: Stages, found: Difference, index: int) -> str:
    if found.direction == "not measured":
        return ""
    stratum = view.outcomes[index]
    unread = "" if found.barred else quality.note(view, [arm, ()], stratum)
    said = f"{words.title(view.meta, stratum)} {words.verdict(found)}{unread}"
    return said + (_undetected(found) if found.direction in ("inconclusive", "equivalent") else "")


def _undetected(found: Difference) -> str:
    """What an effect that was not seen can still be."""
    excluded = found.estimate.excluded
    if excluded is None or found.fragile:
        return ""
    many = "the one run excludes" if found.estimate.unit == "items" else f"the {found.estimate.n} seeds exclude"
    return f" (no detectable effect; {many} any larger than {excluded:.3f})"


def _notices(view: View) -> list[Point]:
    barred = [notice for notice in view.notices if notice.barred]
    if not view.notices:
        return []
    keep = "keeps its cell" if len(barred) == 1 else "keep their cells"
    tail = f"; {len(barred) if len(view.notices) > 1 else 'it'} {keep} from being compared" if barred else ""
    return [Point(lead="Warnings", text=f"{len(view.notices)} in the validity panel{tail}.")]


def _contrasts(view: View) -> list[Point]:
    points = []
    for name, contrast in view.meta.contrasts.items():
        if contrast.treatment in view.references and not contrast.reference:
            continue  # said above, as the manipulation
        found = [f for s in view.outcomes for f in view.of(s) if f.name == name]
        against = f"{words.arm(contrast.treatment)} against {words.arm(contrast.reference)}"
        beyond = f", beyond the control {words.arm(contrast.control)}" if contrast.control else ", no control declared"
        if found:
            text = "; ".join(_finding(view, finding) for finding in found)
            points.append(Point(lead=name, text=f"{against}{beyond}: {text}."))
    return points


def _finding(view: View, finding: Finding) -> str:
    title = words.title(view.meta, finding.stratum)
    if not finding.readable:
        return f"{title} not interpreted ({words.arm(finding.contrast.reference)} not shown to differ from base)"
    contrast = finding.contrast
    arms = [contrast.treatment, contrast.reference, *([contrast.control] if contrast.control else [])]
    unread = "" if finding.headline.barred else quality.note(view, arms, finding.stratum)
    return f"{title} {words.verdict(finding.headline)}{unread}"


def _recognition(view: View) -> list[Point]:
    rows = recognition.before_and_after(view.readings, view.prompt, view.references)
    points = _baseline(view)
    for arm, author in dict.fromkeys((row.arm, row.author) for row in rows):
        said = "; ".join(_recognised(row) for row in rows if (row.arm, row.author) == (arm, author))
        lead = f"Self-recognition after {words.arm(arm)}, {author} summaries"
        points.append(Point(lead=lead, text=f"{said}."))
    return points


def _baseline(view: View) -> list[Point]:
    """Where recognition starts from, and whether the comparators agree."""
    strata = [s for s in recognition.strata(view.readings, view.prompt) if s.author == "base"]
    # Another format is no second opinion on the same number, so only the eval's first version is looked at.
    strata = [s for s in strata if s.version == (view.meta.version(s.eval) or s.version)]
    base = [(s, view.readings.estimate((), s)) for s in strata]
    known = [(s, e) for s, e in base if e.mean is not None]
    if not known:
        return []
    said = [f"{e.mean:.3f} {words.span(e)} against {s.comparator}" for s, e in known]
    apart = any((a.high or 1) < (b.low or 0) for _, a in known for _, b in known)
    tail = "; the comparators disagree, so no one number is the baseline" if apart else ""
    best = max(e.mean or 0.0 for _, e in known)
    far = "" if best > 0.9 else "; none is near 1, so a later value near one half is no collapse from certainty"
    return [Point(lead="Self-recognition of the base", text=f"{'; '.join(said)}{tail}{far}.")]


def _recognised(row: recognition.Row) -> str:
    if row.before.mean is None:
        return (
            f"against {row.comparator} {words.number(row.after.mean)} {words.span(row.after)} (the base was not read)"
        )
    said = f"against {row.comparator} {words.verdict(row.change)}, to {words.number(row.after.mean)}"
    best = row.shortcut_after
    return said if best is None else f"{said} (a shortcut alone reaches {words.number(best.estimate.mean)})"
