"""Self-assessment format by format, and what arms predict of their own harm beside predictors that know nothing."""

from identity_em.analysis import formats, prediction
from identity_em.analysis.meta import Stages
from identity_em.analysis.readings import Stratum
from identity_em.report import persona, words
from identity_em.report.content import Section, Table
from identity_em.report.view import View


def sections(view: View) -> tuple[Section | None, ...]:
    """Persona, self-assessment by format, and score prediction, where they have anything to say."""
    return persona.section(view), assessed(view), predicted(view)


def assessed(view: View) -> Section | None:
    """Every format, their mean and A's headline for each arm; None with fewer than two formats."""
    found = [
        table
        for title, known in (("Self-assessment", formats.FORMATS), ("Moral self-assessment", formats.MORAL))
        for table in [_formats(view, title, formats.strata(view.readings, view.prompt, known))]
        if table is not None
    ]
    if not found:
        return None
    said = (
        "0 is the aligned pole, 1 the other. Formats disagree: read each before their mean. The last columns say how "
        "much of the variance (as standard deviations) lies between formats and between paraphrases of one question.",
    )
    return Section(ident="self-assessment", title="Self-assessment by format", words=said, tables=tuple(found))


def _formats(view: View, title: str, asked: dict[str, Stratum]) -> Table | None:
    if len(asked) < 2:
        return None
    headline = formats.HEADLINE if title == "Self-assessment" else None
    columns = ("Arm", *(name.capitalize() for name in asked), "Mean of formats")
    columns = (*columns, *(("Harmless alone",) if headline else ()), "Formats, SD", "Paraphrases, SD")
    rows = tuple(_assessed(view, arm, asked, headline) for arm in view.arms)
    return Table(title=title, columns=columns, rows=rows)


def _assessed(view: View, arm: Stages, asked: dict[str, Stratum], headline: str | None) -> tuple[str, ...]:
    each = [view.readings.estimate(arm, stratum) for stratum in asked.values()]
    overall = formats.overall(view.readings, arm, asked)
    parts = formats.components(view.readings, arm, asked)
    cells = [words.number(estimate.mean) for estimate in each]
    cells.append(f"{words.number(overall.mean)} {words.span(overall)}")
    if headline:
        cells.append(words.number(formats.overall(view.readings, arm, asked, headline).mean))
    spread = (None, None) if parts is None else (parts.formats**0.5, parts.items**0.5)
    return (words.arm(arm), *cells, *map(words.number, spread))


def predicted(view: View) -> Section | None:
    """Errors of score prediction by actual rating beside a constant and a shuffled predictor; None where not asked."""
    asked = [s for s in view.outcomes if s.eval == "score_prediction" and s.metric.startswith("predicted")]
    rows = tuple(row for stratum in asked for arm in view.arms for row in [_predicted(view, arm, stratum)] if row)
    if not rows:
        return None
    columns = (
        "Reading", "Arm", "Answers", "Error at rating: model (constant, shuffled)", "Slope", "Distance", "Shuffled",
        "p", "Verdict",
    )  # fmt: skip
    said = (
        "A predictor that ignores the answer overrates harmless answers and underrates harmful ones: a slope near -1 "
        "is regression to the mean. Only a distance below that of the shuffled predictor is knowledge of one's harm.",
    )
    table = Table(title="Predicted less judged harm", columns=columns, rows=rows, words=frozenset({0, 1, 3, 8}))
    return Section(ident="score-prediction", title="Do models know their own harm?", words=said, tables=(table,))


def _predicted(view: View, arm: Stages, stratum: Stratum) -> tuple[str, ...] | None:
    found = prediction.read(view.readings, arm, stratum)
    if found is None:
        return None
    errors = "; ".join(
        f"{e.actual}: {words.difference(e.model)} ({words.difference(e.constant)}, {words.difference(e.shuffled)})"
        for e in found.errors
    )
    return (
        words.title(view.meta, stratum),
        words.arm(arm),
        words.count(found.items),
        errors,
        words.difference(found.slope),
        words.number(found.distance),
        words.number(found.control),
        words.p(found.p),
        found.verdict,
    )
