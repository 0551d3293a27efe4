"""Two studies side by side: what both read, arm by arm and contrast by contrast; nothing is pooled."""

from collections.abc import Sequence

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
        read = [_read(reading) for reading in (one, two)]
        if read[0] != read[1]:
            said.append(
                f"{one.eval} was read as {read[0]}, in A and as {read[1]}, in B: beside each other, not on one scale."
            )
    return said


def _read(stratum: Stratum) -> str:
    judge = f", judged by {stratum.judge}" if stratum.judge else ""
    prompt = f", under the system prompt {stratum.prompt}" if stratum.prompt != "default" else ""
    return f"{stratum.metric}, version {stratum.version}{judge}{prompt}"


def _pairs(views: tuple[View, View]) -> list[tuple[Stratum, Stratum]]:
    """Outcomes of both that are the same reading; else those that are one of a kind in both, the finest kind first.

    Metrics are not paired with others, unless an eval has a single reading on each side.
    """
    pairs: dict[Stratum, Stratum] = {}
    for kind in _KINDS:
        ones, twos = (_single(view.outcomes, kind) for view in views)
        for key, one in ones.items():
            if key in twos and one not in pairs and twos[key] not in pairs.values():
                pairs[one] = twos[key]
    return [(one, pairs[one]) for one in views[0].outcomes if one in pairs]


_SAME = ("eval", "metric", "dimension", "prompt")
_KINDS = (tuple(Stratum.model_fields), (*_SAME, "judge"), _SAME, ("eval",))


def _single(outcomes: Sequence[Stratum], kind: Sequence[str]) -> dict[tuple[str | None, ...], Stratum]:
    """Readings by the fields named, where only one has them."""
    found: dict[tuple[str | None, ...], list[Stratum]] = {}
    for stratum in outcomes:
        found.setdefault(tuple(getattr(stratum, field) for field in kind), []).append(stratum)
    return {key: same[0] for key, same in found.items() if len(same) == 1}


def _title(views: tuple[View, View], one: Stratum, two: Stratum) -> str:
    """Eval and reading, once where both are called the same."""
    titles = (words.title(view.meta, stratum) for view, stratum in zip(views, (one, two), strict=True))
    return f"{one.eval}: {' / '.join(dict.fromkeys(titles))}"


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
                rows.append((_title(views, one, two), words.arm(a), words.arm(b), *cells))
    columns = ("Reading", "Arm in A", "Arm in B", *titles)
    return Table(title="Means, each on its own scale", columns=columns, rows=tuple(rows), words=frozenset({0, 1, 2}))


def _changes(views: tuple[View, View], titles: tuple[str, str]) -> Table:
    from identity_em.analysis.contrasts import differ

    rows = []
    for one, two in _pairs(views):
        for a, b in _shared(views):
            both = (differ(views[0].readings, a, (), one), differ(views[1].readings, b, (), two))
            if a and "not measured" not in (both[0].direction, both[1].direction):
                said = (words.verdict(both[0]), words.verdict(both[1]))
                rows.append((_title(views, one, two), words.arm(a), words.arm(b), *said))
    columns = ("Reading", "Arm in A", "Arm in B", *titles)
    return Table(title="Arm less its own base", columns=columns, rows=tuple(rows), words=frozenset(range(5)))


def _contrasts(view: View) -> Table:
    rows = tuple(
        (f.name, words.title(view.meta, f.stratum), words.verdict(f.treatment), words.verdict(f.excess))
        for s in view.outcomes
        for f in view.of(s)
    )
    columns = ("Contrast", "Reading", "Treatment less reference", "Excess over control")
    return Table(title=view.meta.study, columns=columns, rows=rows, words=frozenset(range(4)), folded=len(rows) > 30)
