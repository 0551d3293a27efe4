"""The recognition matrix in a report: judge by author, comparator by comparator, and whether texts differ in style."""

from identity_em.analysis.meta import Stages, arm_name
from identity_em.analysis.readings import Stratum
from identity_em.report import recognition, tables, words
from identity_em.report.content import Table
from identity_em.report.view import View

_SEPARABILITY = "separability"


def found(view: View) -> list[Table]:
    """The matrix where anyone but the base and the judge itself wrote summaries, and the separability of texts."""
    asked = [s for s in view.readings.strata if s.author and not s.shortcut and s.prompt == view.prompt]
    several = {s.author for s in asked} - set(recognition.AUTHORS)
    reads = dict.fromkeys((s.eval, s.version, s.metric, s.comparator) for s in asked) if several else {}
    matrices = [
        _matrix(view, [s for s in asked if (s.eval, s.version, s.metric, s.comparator) == read]) for read in reads
    ]
    return [*matrices, _separability(view)]


def _matrix(view: View, strata: list[Stratum]) -> Table:
    """One comparator: a row per judge, a column per author of the summaries called its own."""
    first = strata[0]
    rows = tuple(
        (words.arm(arm), *(tables.worth(view, arm, s) for s in strata))
        for arm in view.arms
        if any(view.readings.keys(arm, s) for s in strata)
    )
    title = f"Recognition matrix ({first.version}) against {first.comparator}: judge by author"
    columns = ("Judge", *(words.author(s.author) for s in strata))
    return Table(title=title, columns=columns, rows=rows, words=frozenset({0}))


def _separability(view: View) -> Table:
    """How often a classifier of style alone tells whose a text is."""
    strata = [s for s in view.readings.strata if s.metric == _SEPARABILITY]
    one = {(s.eval, s.author, s.comparator): s for s in reversed(strata)}
    rows = []
    for stratum in reversed(one.values()):
        for arm in _writers(view, stratum):
            whose = words.arm(arm) if stratum.author == "current" else words.author(stratum.author)
            estimate = view.readings.estimate(arm, stratum)
            apart = estimate.low is not None and estimate.low > 0.5
            rows.append((whose, stratum.comparator or "", tables.with_span(estimate), "yes" if apart else "not shown"))
    columns = ("Summaries by", "from those by", "Told apart", "above chance")
    title = "Style of the summaries: share told apart by a cross-validated classifier (TF-IDF, chance .5)"
    return Table(title=title, columns=columns, rows=tuple(rows), words=frozenset({0, 1, 3}))


def _writers(view: View, stratum: Stratum) -> list[Stages]:
    """The judges under which texts differ: each for its own current ones, unless it stands there as an author too."""
    read = [arm for arm in view.arms if view.readings.keys(arm, stratum)]
    if stratum.author != "current":
        return read[:1]
    named = {s.author for s in view.readings.strata if s.metric == _SEPARABILITY}
    return [arm for arm in read if arm and arm_name(arm) not in named]
