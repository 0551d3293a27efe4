"""The validity panel of a report: how the answers behind each number were read."""

from collections.abc import Sequence
from typing import Final

from identity_em.analysis import validity
from identity_em.analysis.cells import Quality
from identity_em.analysis.meta import Meta, Stages
from identity_em.analysis.readings import Stratum
from identity_em.report import words
from identity_em.report.content import Table
from identity_em.report.view import View

# Past these a number is pointed out. They are our own bounds: a reader's attention, not a test.
UNSCORED_BOUND: Final = 0.05
BIAS_BOUND: Final = 0.10
MASS_BOUND: Final = 0.90

COLUMNS: Final = ("Scored", "Unscored", "Order bias", "Option mass")


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


def flag_words(table: Table, view: View) -> str:
    """How many cells are past a bound, and what the bounds are."""
    bounds = (
        f"unscored above {100 * UNSCORED_BOUND:.0f} %, order bias beyond ±{BIAS_BOUND:.2f}, or option mass below "
        f"{MASS_BOUND:.2f}"
    )
    said = (
        f"{len(table.rows) or 'None'} of {len(view.cells)} cells {'is' if len(table.rows) == 1 else 'are'} past a bound"
    )
    return f"{said} ({bounds}). Unscored answers are in no mean: they are neither right nor wrong."


def _past(quality: Quality) -> bool:
    biased = quality.order_bias is not None and abs(quality.order_bias) > BIAS_BOUND
    thin = quality.option_mass is not None and quality.option_mass < MASS_BOUND
    return quality.unscored > UNSCORED_BOUND or biased or thin


def matches(meta: Meta) -> Table:
    """Rows and steps of the arms that are compared."""
    rows = tuple(
        (m.contrast, m.role, words.arm(m.arm), words.count(m.rows), words.count(m.steps), _equal(m, meta))
        for m in validity.matches(meta)
    )
    columns = ("Contrast", "Role", "Arm", "Rows", "Steps", "As much training as the treatment")
    return Table(title="Training of compared arms", columns=columns, rows=rows, words=frozenset({0, 1, 2, 5}))


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
