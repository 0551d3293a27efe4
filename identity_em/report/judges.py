"""Do judges agree? Where one answer was read by two, their agreement beyond chance and in rank."""

from itertools import combinations

from identity_em.analysis import relations
from identity_em.report import words
from identity_em.report.content import Table
from identity_em.report.view import View


def agreement(view: View) -> Table | None:
    """Every pair of judges of one reading."""
    by_reading: dict[object, list[str]] = {}
    for stratum in view.asked:
        if stratum.judge:
            by_reading.setdefault(stratum.model_copy(update={"judge": None}), []).append(stratum.judge)
    rows = []
    for stratum in view.asked:
        names = by_reading.get(stratum.model_copy(update={"judge": None}), [])
        for one, two in combinations(names, 2):
            if stratum.judge == one:
                pairs = [
                    [view.readings.matrix(arm, stratum.model_copy(update={"judge": name})) for name in (one, two)]
                    for arm in view.arms
                ]
                kappa, rank, n = relations.agreement(pairs)
                title = words.title(view.meta, stratum.model_copy(update={"judge": ""}))
                rows.append((title, one, two, words.count(n), words.number(kappa), words.number(rank)))
    columns = ("Reading", "Judge", "Second judge", "Answers", "Kappa at .5", "Rank correlation")
    return Table(title="Judges", columns=columns, rows=tuple(rows), words=frozenset({0, 1, 2})) if rows else None
