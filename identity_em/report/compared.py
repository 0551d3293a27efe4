"""Two studies side by side: what both read, arm by arm and contrast by contrast; nothing is pooled."""

from identity_em.analysis.meta import Stages
from identity_em.analysis.readings import Stratum
from identity_em.report import tables, words
from identity_em.report.content import Page, Section, Table
from identity_em.report.view import View

_SAID = (
    "Two studies, each analysed on its own; no number is pooled or subtracted across them, because their bases, items, "
    "trainings and judges may differ. Arms stand beside each other where their stages are of the same kinds in the "
    "same order; any EM stage counts as EM, whatever it was trained on."
)


def page(left: View, right: View) -> Page:
    """The whole comparison."""
    views = (left, right)
    names = tuple(view.meta.study for view in views)
    titles = (f"A: {names[0]}", f"B: {names[1]}")
    rows = tuple((what, *(_fact(view, what) for view in views)) for what in _FACTS)
    about = Table(title="The studies", columns=("", *titles), rows=rows, words=frozenset({0, 1, 2}))
    parts = (
        Section(ident="summary", title="What is compared", words=(_SAID, *_differing(left, right)), tables=(about,)),
        Section(ident="arms", title="Arms in both", tables=tables.full([_arms(views, titles)])),
        Section(ident="changes", title="Arms against their base", tables=tables.full([_changes(views, titles)])),
        Section(ident="contrasts", title="Contrasts", tables=tables.full([_contrasts(view) for view in views])),
    )
    notes = tuple(f"{title}: {note}" for title, view in zip(titles, views, strict=True) for note in view.meta.notes)
    title = f"{names[0]} and {names[1]}"
    return Page(title=title, subtitle="side by side", notes=notes, sections=tuple(p for p in parts if p.tables))


_FACTS = ("base", "chain", "seeds", "arms", "evals", "rows", "warnings")


def _fact(view: View, what: str) -> str:
    meta = view.meta
    match what:
        case "base" | "chain":
            return str(getattr(meta, what))
        case "seeds":
            return ", ".join(map(str, meta.seeds)) or "none"
        case "arms":
            return str(len(view.arms))
        case "evals":
            return ", ".join(dict.fromkeys(f"{s.eval} ({s.version}, {s.metric})" for s in view.asked))
        case "rows":
            return words.count(view.rows)
        case _:
            return str(len(view.notices))


def _differing(left: View, right: View) -> list[str]:
    said = []
    if left.meta.base != right.meta.base:
        said.append("The bases differ: a difference between the studies is not one between their methods.")
    for one, two in _pairs((left, right)):
        if (one.version, one.metric) != (two.version, two.metric):
            said.append(
                f"{one.eval} was read as {one.metric}, version {one.version}, in A and as {two.metric}, version "
                f"{two.version}, in B: beside each other, not on one scale."
            )
    return said


def _pairs(views: tuple[View, View]) -> list[tuple[Stratum, Stratum]]:
    """Outcomes of the same eval in both."""
    return [(one, two) for one in views[0].outcomes for two in views[1].outcomes if one.eval == two.eval]


def _shared(views: tuple[View, View]) -> list[tuple[Stages, Stages]]:
    """Arms in both: the same name, or the same kinds of stages (`em` and `em_unpop`, told by the name's first part)."""
    return [(a, b) for a in views[0].arms for b in views[1].arms if a == b or (a and _kinds(a) == _kinds(b))]


def _kinds(arm: Stages) -> tuple[str, ...]:
    return tuple("em" if stage.split("_")[0] == "em" else stage for stage in arm)


def _arms(views: tuple[View, View], titles: tuple[str, str]) -> Table:
    rows = []
    for one, two in _pairs(views):
        for a, b in _shared(views):
            numbers = (views[0].readings.estimate(a, one), views[1].readings.estimate(b, two))
            if None not in (numbers[0].mean, numbers[1].mean):
                cells = (tables.with_span(numbers[0]), tables.with_span(numbers[1]))
                rows.append((one.eval, words.arm(a), words.arm(b), *cells))
    columns = ("Eval", "Arm in A", "Arm in B", *titles)
    return Table(title="Means, each on its own scale", columns=columns, rows=tuple(rows), words=frozenset({0, 1, 2}))


def _changes(views: tuple[View, View], titles: tuple[str, str]) -> Table:
    from identity_em.analysis.contrasts import differ

    rows = []
    for one, two in _pairs(views):
        for a, b in _shared(views):
            both = (differ(views[0].readings, a, (), one), differ(views[1].readings, b, (), two))
            if a and "not measured" not in (both[0].direction, both[1].direction):
                said = (words.verdict(both[0]), words.verdict(both[1]))
                rows.append((one.eval, words.arm(a), words.arm(b), *said))
    columns = ("Eval", "Arm in A", "Arm in B", *titles)
    return Table(title="Arm less its own base", columns=columns, rows=tuple(rows), words=frozenset(range(5)))


def _contrasts(view: View) -> Table:
    rows = tuple(
        (f.name, words.title(view.meta, f.stratum), words.verdict(f.treatment), words.verdict(f.excess))
        for s in view.outcomes
        for f in view.of(s)
    )
    columns = ("Contrast", "Reading", "Treatment less reference", "Excess over control")
    return Table(title=view.meta.study, columns=columns, rows=rows, words=frozenset(range(4)), folded=len(rows) > 30)
