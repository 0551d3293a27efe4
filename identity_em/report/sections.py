"""The sections of a report, in order."""

from identity_em.analysis import checks
from identity_em.analysis.contrasts import Difference
from identity_em.analysis.meta import Stages
from identity_em.analysis.readings import Stratum
from identity_em.report import battery, factorial, figures, hosted, matrix, quality, recognition, tables, words
from identity_em.report.content import Page, Section, Table
from identity_em.report.self_reports import sections as self_reports
from identity_em.report.summary import summary
from identity_em.report.view import View


def page(view: View) -> Page:
    """The whole report."""
    meta = view.meta
    parts = [
        summary(view),
        asked(view),
        hosted.section(view),
        instrument(view),
        manipulation(view),
        contrasts(view),
        system_prompts(view),
        self_recognition(view),
        outcomes(view),
        battery.section(view),
        *self_reports(view),
        per_seed(view),
        quality.section(view),
        provenance(view),
    ]
    subtitle = f"{meta.base} · chain {meta.chain} · seeds {', '.join(map(str, meta.seeds)) or 'none'}"
    sections = tuple(part for part in parts if part is not None)
    return Page(title=meta.study, subtitle=subtitle, notes=meta.notes, sections=sections)


def asked(view: View) -> Section:
    """The question: arms, stages, contrasts, evals."""
    said = (
        "An arm is an ordered chain of fine-tunes; every arm is evaluated with the same questions. "
        "A contrast compares a treatment with its reference, and asks whether a control does as much.",
    )
    found = [tables.stages(view.meta), tables.contrasts(view.meta), tables.evals(view)]
    figure = figures.arms(view.readings)
    return Section(ident="question", title="What was asked", words=said, figures=(figure,), tables=tables.full(found))


def instrument(view: View) -> Section | None:
    """The checks, seed by seed."""
    if not view.checks:
        return None
    seeds = list(dict.fromkeys(seed.seed for result in view.checks for seed in result.seeds))
    columns = ("Claim", "Condition", *(f"seed {s}" if s is not None else "one run" for s in seeds), "")
    rows = tuple(_check_row(view, result, seeds) for result in view.checks)
    said = (
        "Effects that were put in on purpose, or must be absent, if the instrument reads what it claims to. "
        "Each cell gives the arm's mean and, after the stroke, what it is compared with.",
    )
    table = Table(title="Checks", columns=columns, rows=rows, words=frozenset({0, 1, len(columns) - 1}))
    title = "Does the instrument read what was put in?"
    return Section(ident="instrument", title=title, words=said, tables=(table,))


def _check_row(view: View, result: checks.CheckResult, seeds: list[int | None]) -> tuple[str, ...]:
    check = result.check
    told = (check.dimension, check.author and f"{check.author} summaries")
    under = check.eval_system_prompt and f"under {check.eval_system_prompt!r}"
    of = ", ".join(part for part in (*told, under) if part)
    against = " and ".join(words.arm(arm) for arm in checks.compared(check))
    condition = words.minus(checks.condition(check, against))
    reading = view.meta.metric(check.eval, check.metric).title + (f" ({of})" if of else "")
    by_seed = {seed.seed: seed for seed in result.seeds}
    cells = [_seed_cell(by_seed[seed]) if seed in by_seed else words.ABSENT for seed in seeds]
    return (check.says, f"{reading}: {words.arm(check.arm)} {condition}", *cells, tables.holds(result.holds))


def _seed_cell(seed: checks.SeedCheck) -> str:
    references = ", ".join(words.number(value) for value in seed.references)
    mark = {True: "", False: " ✗", None: ""}[seed.holds]
    return words.number(seed.value) + (f" / {references}" if references else "") + mark


def manipulation(view: View) -> Section | None:
    """Does the reference differ from the base at all?"""
    found = {at: d for at, d in view.manipulations.items() if d.direction != "not measured"}
    if not found:
        return None
    rows = tuple(
        (
            words.arm(reference),
            words.title(view.meta, stratum),
            tables.with_span(view.readings.estimate((), stratum)),
            tables.with_span(view.readings.estimate(reference, stratum)),
            words.verdict(difference),
            words.small(difference.shown.excluded),
        )
        for (reference, stratum), difference in found.items()
    )
    columns = ("Reference", "Reading", "Base", "Reference arm", "Reference less base", "Excludes effects beyond")
    said = (
        "An intervention can prevent or reverse only what the manipulation does. Where the reference was not "
        "shown to differ from the base, its contrasts are not interpreted.",
    )
    table = Table(title="References against the base", columns=columns, rows=rows, words=frozenset({0, 1, 4}))
    return Section(ident="manipulation", title="Manipulation check", words=said, tables=(table,))


def contrasts(view: View) -> Section | None:
    """Forest plots, and every contrast in every reading."""
    if not view.meta.contrasts:
        return None
    forests = [
        figures.contrast_forest(view.readings, stratum, view.of(stratum), f"contrasts-{number}")
        for number, stratum in enumerate(view.outcomes, 1)
        if view.of(stratum)
    ]
    columns = ("Contrast", "Reading", "Prompt", "Treatment", "Control", "Excess over control", "p (Holm)", "q (BH)")
    rows = tuple(
        (
            finding.name,
            words.title(view.meta, finding.stratum),
            finding.stratum.prompt,
            *(words.verdict(part) for part in (finding.treatment, finding.control, finding.excess)),
            words.p(finding.headline.holm),
            words.p(finding.headline.rate),
        )
        for finding in view.findings
    )
    table = Table(
        title="Every contrast in every reading", columns=columns, rows=rows, words=frozenset(range(6)), folded=True
    )
    title = "Prevention and reversal"
    said = (
        "Treatment and control are each compared with the reference, seed by seed; the excess is what the treatment "
        "does beyond the control. Only the excess can be credited to what sets the treatment apart. Its verdict is "
        "corrected (Holm) within a family: the contrasts of one reading that share a reference, those that intervene "
        "before it and those after it apart; q is corrected over all families (Benjamini and Hochberg).",
    )
    return Section(
        ident="contrasts",
        title=title,
        words=said,
        figures=tuple(forests),
        tables=tables.full([table, factorial.power(view), factorial.cross_checked(view)]),
    )


def outcomes(view: View) -> Section | None:
    """Every outcome by arm, with each number's interval, ground, unscored share and order bias."""
    if not view.outcomes:
        return None
    figure = figures.effects(view.readings, view.outcomes)
    found = [
        table for stratum in view.outcomes for table in (tables.arms(view, stratum), tables.by_dimension(view, stratum))
    ]
    said = (
        "Every outcome of every arm, each number with its interval, what that interval is over, and how it was read.",
    )
    return Section(ident="arms", title="Each arm", words=said, figures=(figure,), tables=tables.full(found))


def self_recognition(view: View) -> Section | None:
    """Recognition before and after, beside what a shortcut reaches."""
    strata = recognition.strata(view.readings, view.prompt)
    if not strata:
        return None
    said = (
        "How much probability a checkpoint gives to its own summary, for summaries written by the base and for those "
        "it writes itself now. A recognition no better than its shortcut may be no more than picking by length.",
    )
    table = tables.before_and_after(
        recognition.before_and_after(view.readings, view.prompt, _recognisers(view, strata))
    )
    full = [tables.arms(view, stratum, folded=True) for stratum in strata]
    return Section(
        ident="recognition",
        title="Self-recognition",
        words=said,
        figures=(figures.recognise(view.readings, view.prompt),),
        tables=tables.full([table, *matrix.found(view), *full]),
    )


def _recognisers(view: View, strata: list[Stratum]) -> list[Stages]:
    """The arms to set beside the base: all that were read where they are few, else those that contrasts refer to."""
    read = [arm for arm in view.arms if arm and any(view.readings.keys(arm, s) for s in strata)]
    return read if len(read) <= 6 else view.references


def system_prompts(view: View) -> Section | None:
    """The same outcomes under each system prompt at evaluation."""
    others = view.readings.prompts[1:]
    trained = factorial.trained(view)
    if not others and view.outcomes and trained.rows:
        return Section(ident="prompts", title="System prompts", words=(factorial.WORDS,), tables=tables.full([trained]))
    if not others or not view.outcomes:
        return None
    rows = tuple(
        (words.arm(arm), words.title(view.meta, stratum), *_under(view, arm, stratum, others))
        for stratum in view.outcomes
        for arm in view.arms
        if view.readings.estimate(arm, stratum).mean is not None
    )
    columns = ("Arm", "Reading", *(f"{other} less {view.prompt}" for other in others))
    table = Table(
        title="Difference from the first prompt",
        columns=columns,
        rows=rows,
        words=frozenset(range(len(columns))),
        folded=True,
    )
    figure = figures.prompts(view.readings, view.outcomes)
    return Section(
        ident="prompts",
        title="System prompt at evaluation",
        figures=(figure,),
        tables=tables.full([factorial.crossed(view), factorial.asked(view, others), trained, table]),
    )


def _under(view: View, arm: tuple[str, ...], stratum: Stratum, others: tuple[str, ...]) -> list[str]:
    under = (view.readings.under(arm, stratum.model_copy(update={"prompt": other}), stratum) for other in others)
    return [words.verdict(Difference(estimate=estimate)) for estimate in under]


def per_seed(view: View) -> Section:
    """Every mean of every seed."""
    return Section(ident="seeds", title="Every seed", tables=tables.full([tables.seeds(view)]))


def provenance(view: View) -> Section:
    """Plan, versions, commit."""
    found = [tables.plan(view.meta), tables.provenance(view)]
    return Section(ident="provenance", title="Plan and provenance", tables=tables.full(found))
