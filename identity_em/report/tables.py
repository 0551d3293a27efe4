"""The tables of a report."""

from collections.abc import Sequence

from identity_em.analysis import explain, gates
from identity_em.analysis.meta import Meta, Stages
from identity_em.analysis.readings import Stratum
from identity_em.analysis.stats import Estimate
from identity_em.report import quality, recognition, words
from identity_em.report.content import Table
from identity_em.report.view import View


def full(tables: Sequence[Table | None]) -> tuple[Table, ...]:
    """Those that have rows, without the columns that hold nothing in any row."""
    return tuple(_filled(table) for table in tables if table is not None and table.rows)


def _filled(table: Table) -> Table:
    kept = [i for i in range(len(table.columns)) if any(row[i] not in ("", words.ABSENT) for row in table.rows)]
    return table.model_copy(
        update={
            "columns": tuple(table.columns[i] for i in kept),
            "rows": tuple(tuple(row[i] for i in kept) for row in table.rows),
            "words": frozenset(place for place, i in enumerate(kept) if i in table.words),
        }
    )


def with_span(estimate: Estimate) -> str:
    """A mean with its interval."""
    return f"{words.number(estimate.mean)} {words.span(estimate)}" if estimate.mean is not None else words.ABSENT


def worth(view: View, arm: Stages, stratum: Stratum) -> str:
    """A mean with its interval; the reason alone where position or unread answers leave nothing to speak of."""
    barred = gates.barred(view.readings, arm, stratum) if view.readings.keys(arm, stratum) else ""
    return words.minus(barred) if barred else with_span(view.readings.estimate(arm, stratum))


def holds(verdict: bool | None) -> str:
    """A check's verdict in a word."""
    return {True: "holds", False: "fails", None: "not measured"}[verdict]


def stages(meta: Meta) -> Table:
    """What each stage trains on."""
    rows = tuple(
        (name, s.dataset, s.system_prompt, *(words.count(value) for value in (s.rows, s.steps, s.tokens)))
        for name, s in meta.stages.items()
    )
    columns = ("Stage", "Dataset", "System prompt", "Rows", "Steps", "Tokens")
    return Table(title="Stages", columns=columns, rows=rows, words=frozenset({0, 1, 2}))


def contrasts(meta: Meta) -> Table:
    """The declared comparisons."""
    rows = tuple(
        (name, *(words.ABSENT if arm is None else words.arm(arm) for arm in (c.treatment, c.reference, c.control)))
        for name, c in meta.contrasts.items()
    )
    columns = ("Contrast", "Treatment", "Reference", "Control")
    return Table(title="Contrasts", columns=columns, rows=rows, words=frozenset(range(4)))


def evals(view: View) -> Table:
    """The evals asked, by version and items."""
    names = list(dict.fromkeys(stratum.eval for stratum in view.asked))
    rows = []
    for name in names:
        known = view.meta.evals.get(name)
        metrics = dict.fromkeys(view.meta.metric(s.eval, s.metric).title for s in view.asked if s.eval == name)
        versions = ", ".join(dict.fromkeys(s.version for s in view.asked if s.eval == name))
        rows.append(
            (name, versions, ", ".join(metrics), known.items if known else "", _gist(known.card) if known else "")
        )
    columns = ("Eval", "Version", "Metrics", "Items", "Card")
    return Table(title="Evals", columns=columns, rows=tuple(rows), words=frozenset(range(5)))


def _gist(card: str) -> str:
    """A card's first paragraph that is not a heading."""
    paragraphs = (" ".join(part.split()) for part in card.split("\n\n"))
    first = next((part for part in paragraphs if part and not part.startswith(("#", "|", "---"))), "")
    return first if len(first) <= 240 else f"{first[:239].rsplit(' ', 1)[0]} …"


def arms(view: View, stratum: Stratum, *, folded: bool = False) -> Table:
    """One reading by arm; every number with its interval, what that rests on, and the quality of its answers."""
    rows = []
    for arm in view.arms:
        estimate, answers = view.readings.estimate(arm, stratum), view.readings.quality(arm, stratum)
        if not answers.rows:
            continue
        numbers = (
            words.number(estimate.mean),
            words.span(estimate),
            estimate.rests_on,
            words.number(answers.above_half),
        )
        rows.append((words.arm(arm), *numbers, *quality.cells_of(answers), explain.name(arm, stratum)))
    side = words.better(view.meta, stratum)
    title = words.title(view.meta, stratum) + (f" ({side})" if side else "")
    columns = ("Arm", "Mean", "95 % interval", "Interval over", "Share > .5", *quality.COLUMNS, "Cell")
    return Table(title=title, columns=columns, rows=tuple(rows), words=frozenset({0, 3, 9}), folded=folded)


def by_dimension(view: View, stratum: Stratum) -> Table | None:
    """One reading by arm and dimension; None where there is one dimension only."""
    names = view.readings.dimensions(stratum)
    if len(names) < 2:
        return None
    parts = [stratum.model_copy(update={"dimension": name}) for name in names]
    rows = tuple(
        (words.arm(arm), *(with_span(view.readings.estimate(arm, part)) for part in parts))
        for arm in view.arms
        if view.readings.estimate(arm, stratum).mean is not None
    )
    title = f"By dimension: {words.title(view.meta, stratum)}"
    return Table(title=title, columns=("Arm", *(name or "(none)" for name in names)), rows=rows, folded=True)


def before_and_after(found: Sequence[recognition.Row]) -> Table:
    """Recognition in the base and after each reference arm, beside the shortcut."""
    rows = tuple(
        (
            row.comparator,
            row.author,
            words.arm(row.arm),
            with_span(row.before),
            with_span(row.after),
            words.verdict(row.change),
            words.number(row.shortcut_before.estimate.mean if row.shortcut_before else None),
            words.number(row.shortcut_after.estimate.mean if row.shortcut_after else None),
            row.shortcut_after.name if row.shortcut_after else "",
        )
        for row in found
    )
    columns = (
        "Comparator",
        "Summaries",
        "Arm",
        "Before",
        "After",
        "Change",
        "Shortcut before",
        "after",
        "Best shortcut",
    )
    shortcuts = any(row.shortcut_after for row in found)
    title = "Recognition before and after" + (", and what a shortcut alone reaches" if shortcuts else "")
    return Table(title=title, columns=columns, rows=rows, words=frozenset({0, 1, 2, 5, 8}))


def seeds(view: View) -> Table:
    """Every mean of every seed."""
    columns = list(view.meta.seeds) or sorted(
        {
            seed
            for s in view.asked
            for arm in view.arms
            for seed, _ in view.readings.estimate(arm, s).seeds
            if seed is not None
        }
    )
    rows = []
    for stratum in view.asked:
        for arm in view.arms:
            means = dict(view.readings.estimate(arm, stratum).seeds)
            if means:
                cells = [words.number(means.get(seed, means.get(None))) for seed in columns]
                rows.append((words.title(view.meta, stratum), stratum.prompt, words.arm(arm), *cells))
    titles = ("Reading", "Prompt", "Arm", *(f"seed {seed}" for seed in columns))
    title = "Means by seed (the base's one run stands under every seed)"
    return Table(title=title, columns=titles, rows=tuple(rows), words=frozenset({0, 1, 2}), folded=True)


def plan(meta: Meta) -> Table:
    """What the study cost in trainings."""
    known = meta.plan
    numbers = (known.trainings, known.naive_trainings, known.artefacts, known.shared)
    columns = ("Trainings", "Without sharing", "Artefacts", "Shared")
    return Table(title="Plan", columns=columns, rows=(tuple(map(words.count, numbers)),), words=frozenset())


def provenance(view: View) -> Table:
    """What made the table."""
    known = view.meta.provenance
    commit = (known.commit or "not known") + (" with uncommitted changes" if known.dirty else "")
    pairs = {"table (SHA-256)": view.digest, "rows": words.count(view.rows), "commit": commit, **known.versions}
    trainer = {f"trainer: {name}": str(value) for name, value in known.trainer.items()}
    rows = tuple((name, value) for name, value in (pairs | trainer).items() if value)
    return Table(title="Provenance", columns=("What", "Value"), rows=rows, words=frozenset({0, 1}))
