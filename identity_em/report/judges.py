"""Are judges to be trusted? Their agreement with each other, and with answers whose level is known; what they cost."""

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


def calibration(view: View) -> Table | None:
    """Each model that judged, beside the answers of known level that ship with its rubric."""
    rows = tuple(
        (
            judge.judge,
            judge.eval,
            judge.rubric,
            f"{words.count(judge.scored)} of {words.count(judge.known)}" if judge.known else words.ABSENT,
            words.ABSENT if judge.agreement is None else words.percent(judge.agreement),
            words.difference(judge.mean_error),
            words.number(judge.kappa),
            words.count(judge.calls),
            words.count(judge.tokens),
            "not known" if judge.usd is None else f"{judge.usd:.2f}",
        )
        for judge in view.meta.judges
    )
    columns = (
        "Judge", "Eval", "Rubric", "Known answers read", "At the known level", "Mean error", "Kappa", "Calls", "Tokens",
        "Dollars",
    )  # fmt: skip
    return Table(title="Judge calibration", columns=columns, rows=rows, words=frozenset({0, 1, 2})) if rows else None
