"""The validity panel of a report: how the answers behind each number were read."""

from collections.abc import Sequence
from typing import Final

from identity_em.analysis import gates, validity
from identity_em.analysis.cells import Quality
from identity_em.analysis.meta import Meta, Stages
from identity_em.analysis.readings import Stratum
from identity_em.report import judges, tables, words
from identity_em.report.content import Section, Table
from identity_em.report.view import View

# Past these a number is pointed out. They are our own bounds: a reader's attention, not a test.
UNSCORED_BOUND: Final = 0.05
BIAS_BOUND: Final = 0.10
MASS_BOUND: Final = 0.90
HIDDEN_BOUND: Final = 0.01

_KINDS: Final = {
    "unread": "Answers not read",
    "position": "Answers by position",
    "control": "Control does it too",
    "seeds": "Seeds apart",
    "reversed": "Reversed in one comparator",
    "duplicate": "Same run twice",
}

COLUMNS: Final = ("Scored", "Unscored", "Order bias", "Option mass")


def section(view: View) -> Section:
    """What the numbers' worth depends on."""
    past = flagged(view)
    found = [
        notices(view),
        past,
        unread(view),
        capability(view),
        hidden(view),
        judges.agreement(view),
        judges.calibration(view),
        matches(view.meta),
        leaks(view.meta),
        every(view),
    ]
    said = [bounds(), flag_words(past, view), unknown(view)]
    return Section(ident="validity", title="Validity", words=tuple(filter(None, said)), tables=tables.full(found))


def every(view: View, cells: Sequence[validity.Cell] | None = None) -> Table:
    """The quality of the answers, cell by cell."""
    rows = tuple(
        (words.arm(c.arm), words.title(view.meta, c.stratum), c.stratum.prompt, *cells_of(c.quality))
        for c in (view.cells if cells is None else cells)
    )
    columns = ("Arm", "Reading", "Prompt", *COLUMNS)
    return Table(title="Every cell", columns=columns, rows=rows, words=frozenset({0, 1, 2}), folded=True)


def flagged(view: View) -> Table:
    """The cells past a bound."""
    found = every(view, [cell for cell in view.cells if _past(cell.quality)])
    return found.model_copy(update={"title": "Cells past a bound", "folded": len(found.rows) > 12})


def notices(view: View) -> Table:
    """What can look like an effect and is none."""
    rows = tuple(
        (
            _KINDS[notice.kind],
            words.minus(notice.text),
            words.title(view.meta, notice.stratum),
            "not compared" if notice.barred else "compared, with this in mind",
        )
        for notice in view.notices
    )
    columns = ("Warning", "What was found", "Reading", "What follows")
    return Table(title="Warnings", columns=columns, rows=rows, words=frozenset(range(4)), folded=len(rows) > 24)


def unread(view: View) -> Table:
    """How far unscored answers could move each contrast's effect, where any were unscored."""
    rows = []
    for finding in view.findings:
        arms = (finding.contrast.treatment, finding.contrast.reference)
        shares = [view.readings.quality(arm, finding.stratum).unscored for arm in arms]
        ends = gates.bounds(view.readings, *arms, finding.stratum)
        if max(shares) > 0 and ends is not None:
            worst = " to ".join(words.difference(end) for end in ends)
            reading = words.title(view.meta, finding.stratum)
            shown = words.difference(finding.treatment.shown.mean)
            rows.append((finding.name, reading, *(words.percent(share) for share in shares), shown, worst))
    columns = ("Contrast", "Reading", "Treatment unscored", "Reference unscored", "Effect", "Worst to best case")
    title = "What if every unscored answer were 0, or 1?"
    return Table(title=title, columns=columns, rows=tuple(rows), words=frozenset({0, 1}), folded=len(rows) > 12)


def capability(view: View) -> Table | None:
    """What an arm can do beside how it behaves: a model that fails at everything also misbehaves less."""
    sides = {s: view.meta.metric(s.eval, s.metric).better for s in view.outcomes}
    if not {"higher", "lower"} <= set(sides.values()):
        return None
    chosen = [s for s in view.outcomes if sides[s] != "none"]
    rows = tuple((words.arm(arm), *(_mean(view, arm, s) for s in chosen)) for arm in view.arms)
    columns = ("Arm", *(f"{words.title(view.meta, s)} ({sides[s]} is better)" for s in chosen))
    return Table(title="Capability beside misalignment", columns=columns, rows=rows, folded=len(rows) > 16)


def hidden(view: View) -> Table | None:
    """What servers hid of the probabilities, cell by cell; None where nothing was hidden."""
    rows = tuple(
        (
            words.arm(c.arm),
            words.title(view.meta, c.stratum),
            c.stratum.prompt,
            words.percent(c.quality.hidden),
            words.number(c.quality.half_width),
        )
        for c in view.cells
        if c.quality.hidden
    )
    columns = ("Arm", "Reading", "Prompt", "Scores that are the middle of an interval", "Mean half width")
    title = "Probabilities a server hid"
    return Table(title=title, columns=columns, rows=rows, words=frozenset({0, 1, 2}), folded=True) if rows else None


def _mean(view: View, arm: Stages, stratum: Stratum) -> str:
    barred = gates.barred(view.readings, arm, stratum) if view.readings.keys(arm, stratum) else ""
    return "not compared" if barred else words.number(view.readings.estimate(arm, stratum).mean)


def bounds() -> str:
    """The bounds past which nothing is compared, in words."""
    return (
        f"A cell is not compared where more than {100 * gates.UNREAD:.0f} % of its answers could not be read, where "
        f"the order shown moves the score by more than {gates.POSITION:.2f}, where two seeds gave the same answer to "
        "every item, or where recognition is below chance against one comparator alone. Where the number would have "
        "stood the report then says so. Below that, an effect is called one only if it would keep its side were every "
        "unscored answer of one arm right and of the other wrong."
    )


def unknown(view: View) -> str:
    """What a table of this kind cannot tell."""
    missing = []
    if all(s.rows is None for s in view.meta.stages.values()):
        missing.append("rows and steps of the trainings")
    if not any(s.shortcut for s in view.readings.strata) and any(s.author for s in view.readings.strata):
        missing.append("what a shortcut reaches on the same summaries")
    if not any(s.judge for s in view.readings.strata):
        missing.append("agreement of judges (none was used)")
    if any(judge.known == 0 for judge in view.meta.judges):
        missing.append("how a judge grades what is known (its rubric has no set of known answers)")
    if all(s.leaks is None for s in view.meta.stages.values()):
        missing.append("training rows found again among the eval items (leaks)")
    return f"Not in this table: {'; '.join(missing)}." if missing else ""


def flag_words(table: Table, view: View) -> str:
    """How many cells are past a bound, and what the bounds are."""
    bounds = (
        f"unscored above {100 * UNSCORED_BOUND:.0f} %, order bias beyond ±{BIAS_BOUND:.2f}, or option mass below "
        f"{MASS_BOUND:.2f}"
        + (f", or a part hidden by a server above ±{HIDDEN_BOUND:.2f} on average" if hidden(view) else "")
    )
    said = (
        f"{len(table.rows) or 'None'} of {len(view.cells)} cells {'is' if len(table.rows) == 1 else 'are'} past a bound"
    )
    return f"{said} ({bounds}). Unscored answers are in no mean: they are neither right nor wrong."


def _past(quality: Quality) -> bool:
    bias, error = abs(quality.order_bias or 0.0), quality.order_error or 0.0
    thin = quality.option_mass is not None and quality.option_mass < MASS_BOUND
    # A bias within the error of its items is no bias.
    wide = quality.hidden * (quality.half_width or 0.0) > HIDDEN_BOUND
    return quality.unscored > UNSCORED_BOUND or (bias > BIAS_BOUND and bias > gates.SURE * error) or thin or wide


def matches(meta: Meta) -> Table:
    """Rows and steps of the arms that are compared."""
    rows = tuple(
        (m.contrast, m.role, words.arm(m.arm), words.count(m.rows), words.count(m.steps), _equal(m, meta))
        for m in validity.matches(meta)
    )
    columns = ("Contrast", "Role", "Arm", "Rows", "Steps", "As much training as the treatment")
    return Table(title="Training of compared arms", columns=columns, rows=rows, words=frozenset({0, 1, 2, 5}))


def leaks(meta: Meta) -> Table | None:
    """Eval items among the rows of each stage; None where nobody looked."""
    looked = {name: stage.leaks for name, stage in meta.stages.items() if stage.leaks is not None}
    evals = tuple(dict.fromkeys(eval_ for found in looked.values() for eval_ in found))
    if not evals:
        return None
    rows = tuple((name, *(words.count(found.get(eval_)) for eval_ in evals)) for name, found in looked.items())
    return Table(
        title="Eval items found among training rows", columns=("Stage", *evals), rows=rows, words=frozenset({0})
    )


def _equal(match: validity.Match, meta: Meta) -> str:
    shorter = len(match.arm) < len(meta.contrasts[match.contrast].treatment)
    if match.role == "reference" and match.equal is False and shorter:
        return "fewer stages, by design"
    return {True: "equal", False: "differs", None: "not known"}[match.equal]


def note(view: View, arms: Sequence[Stages], stratum: Stratum) -> str:
    """How much of the worst of these arms could not be read, where that is past the bound."""
    worst = max((view.readings.quality(arm, stratum).unscored for arm in arms), default=0.0)
    return f" (up to {words.percent(worst)} unscored)" if worst > UNSCORED_BOUND else ""


def cells_of(quality: Quality) -> tuple[str, str, str, str]:
    """One row's COLUMNS."""
    mass = words.number(quality.option_mass)
    return words.count(quality.scored), words.percent(quality.unscored), words.difference(quality.order_bias), mass
