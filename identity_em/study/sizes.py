"""How large a dataset will be, before it is made: counted where every input is a file, else bounded, else unknown."""

from functools import cache

from identity_em.interventions import direct, recipes, wordings
from identity_em.interventions.articles import load_texts, part
from identity_em.interventions.summaries import align
from identity_em.records import Record
from identity_em.study.artefacts import Dataset, FileRef, HubRef, HubRows, Part

CHARS_PER_TOKEN = 4.0


class Size(Record):
    """A dataset's size; None is not known yet, never none at all.

    Attributes:
        rows: How many, or an upper bound where `exact` is False.
        characters: Of all messages.
        turns: Messages of all rows, but system ones.
        exact: Whether the rows are known, or an upper bound until the texts are here.
    """

    rows: int | None
    characters: int | None = None
    turns: int | None = None
    exact: bool = False


@cache
def size(dataset: Dataset) -> Size:
    """The dataset's size; kept by the dataset's key, as planning, preflight and report all ask for it.

    Raises:
        DataError: A row of a file that cannot be used.
    """
    rows = direct.rows(dataset)
    if rows is not None:
        lengths = [(sum(len(m.content) for m in r.messages), sum(m.role != "system" for m in r.messages)) for r in rows]
        return Size(
            rows=len(lengths), characters=sum(n for n, _ in lengths), turns=sum(n for _, n in lengths), exact=True
        )
    main = dataset.inputs.get("main")
    if isinstance(main, Dataset):
        return _mixed(dataset, size(main))
    articles = dataset.inputs.get("articles")
    if isinstance(articles, FileRef | Part) and not isinstance(getattr(articles, "source", None), HubRef):
        return _unwritten(dataset, articles)
    return Size(rows=_planned(dataset, _most(dataset)))


def _planned(dataset: Dataset, units: int | None) -> int | None:
    """Rows at most of so many articles or input rows; where those are not known, as many as the stage asks for."""
    asked: int | None = dataset.params.get("rows")
    return asked if units is None else recipes.get(dataset.recipe).rows(units, dataset.params)


def _most(dataset: Dataset) -> int | None:
    """Articles or input rows at most: as many as are on record, selected, or let through; None where nothing says."""
    found: list[int | None] = [dataset.params.get("limit")]
    for source in dataset.inputs.values():
        match source:
            case HubRows():
                found.append(source.rows)
            case HubRef():
                found.append(source.limit)
            case Part(source=HubRef() as whole, selection=selection):
                found += [whole.limit, None if selection is None else len(selection)]
    return min((n for n in found if n is not None), default=None)


def _mixed(dataset: Dataset, main: Size) -> Size:
    """The same of two stages' rows, as long as the main ones are."""
    rows = _planned(dataset, main.rows)
    if rows is None or not main.rows or main.characters is None or main.turns is None:
        return Size(rows=rows)
    share = rows / main.rows
    return Size(rows=rows, characters=round(main.characters * share), turns=round(main.turns * share), exact=main.exact)


def _unwritten(dataset: Dataset, articles: FileRef | Part) -> Size:
    """The same where own summaries are not written yet: an upper bound, or exact where no pair can be left out."""
    texts = load_texts(articles.path) if isinstance(articles, FileRef) else part(articles)
    for name, source in dataset.inputs.items():
        if name in ("self", "other") and isinstance(source, FileRef):
            align(texts, [load_texts(source.path)], names=(name,), limit=dataset.params.get("limit"))
    limit = dataset.params.get("limit") or len(texts)
    wording = wordings.get(dataset.params["wording"])
    # Two summaries at most as long as the wording allows, beside the article.
    summaries = 2 * wording.max_new_tokens * CHARS_PER_TOKEN
    fixed = len(wording.task_system) + len(wording.recognition) + summaries
    recipe = recipes.get(dataset.recipe)
    rows = recipe.rows(len(texts), dataset.params)
    mean_article = sum(map(len, list(texts.values())[:limit])) / max(1, min(limit, len(texts)))
    characters = round(rows * (mean_article + fixed))
    return Size(rows=rows, characters=characters, turns=2 * rows, exact=recipe.exact(dataset.params))
