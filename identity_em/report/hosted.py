"""What an API refused, and what it was paid: sections of a report on hosted models."""

from __future__ import annotations

from identity_em.analysis.meta import BlockedMeta, Stages
from identity_em.report import words
from identity_em.report.content import Point, Section, Table
from identity_em.report.view import View

_UNTOLD = (
    "A job that was blocked is counted with the tokens that the API says it trained on, and with nothing where it says "
    "none; what is charged for such a job is not documented."
)


def section(view: View) -> Section | None:
    """Arms that were blocked, the contrasts that lack them, and the money; nothing where nothing is hosted."""
    found = tuple(table for table in (_blocked(view), _lacking(view), _spent(view)) if table is not None)
    if not found:
        return None
    said = (
        "These models were trained and asked through an API. An arm that it refused as harmful is a result of its own: "
        "it is not asked again, it has no numbers below, and contrasts that need it cannot be computed.",
        *([_UNTOLD] if any(one.at == "job" for one in view.meta.blocked) else []),
    )
    return Section(ident="hosted", title="Through an API", words=said, tables=found)


def points(view: View) -> list[Point]:
    """For the head of the report: which arms were blocked, and where."""
    lost: dict[tuple[Stages, str], list[BlockedMeta]] = {}
    for one in view.meta.blocked:
        lost.setdefault((one.arm, one.at), []).append(one)
    return [
        Point(
            lead=f"{words.arm(arm)} was blocked",
            text=f"at its {at}, seeds {_of(found, len(view.meta.seeds))}: {found[0].said}"
            if not at.startswith("parent")
            else f"because of {at.removeprefix('parent ')}, seeds {_of(found, len(view.meta.seeds))}.",
        )
        for (arm, at), found in lost.items()
    ]


def _blocked(view: View) -> Table | None:
    seeds: dict[tuple[Stages, str, str], list[str]] = {}
    for one in view.meta.blocked:
        seeds.setdefault((one.arm, one.at, one.said), []).append("-" if one.seed is None else str(one.seed))
    rows = tuple((words.arm(arm), ", ".join(found), at, said) for (arm, at, said), found in seeds.items())
    columns = ("Arm", "Seeds", "Blocked at", "In the API's words")
    return Table(title="Blocked arms", columns=columns, rows=rows, words=frozenset(range(4))) if rows else None


def _lacking(view: View) -> Table | None:
    """Each contrast with a blocked arm, and the seeds that it lacks."""
    rows = []
    for name, contrast in view.meta.contrasts.items():
        parts = {"treatment": contrast.treatment, "reference": contrast.reference, "control": contrast.control}
        for part, arm in parts.items():
            lost = [one for one in view.meta.blocked if arm is not None and one.arm == arm]
            if lost and arm is not None:
                rows.append((name, f"{part}: {words.arm(arm)}", _of(lost, len(view.meta.seeds))))
    columns = ("Contrast", "Lacks", "Seeds")
    title = "Contrasts that lack an arm"
    return Table(title=title, columns=columns, rows=tuple(rows), words=frozenset(range(3))) if rows else None


def _of(lost: list[BlockedMeta], seeds: int) -> str:
    known = sorted({one.seed for one in lost if one.seed is not None})
    return f"{', '.join(map(str, known)) or 'the one run'} (of {seeds})"


def _spent(view: View) -> Table | None:
    spent, unpriced = view.meta.spent, view.meta.unpriced
    rows = [(use, _dollars(usd, known=use not in unpriced)) for use, usd in spent.items()]
    rows.append(("in all", _dollars(sum(spent.values()), known=not unpriced)))
    return Table(title="Paid, earlier runs included", columns=("For", "Dollars"), rows=tuple(rows)) if spent else None


def _dollars(usd: float, *, known: bool) -> str:
    if known:
        return f"${usd:,.4f}"
    return f"${usd:,.4f}, and what has no known price" if usd else "price not known"
