"""How large a dataset will be, before it is made: counted where every input is a file, else bounded."""

from functools import cache

from identity_em.interventions import direct, recipes, wordings
from identity_em.interventions.articles import load_texts, part
from identity_em.interventions.summaries import align
from identity_em.records import Record
from identity_em.study.artefacts import Dataset, FileRef, HubRef, HubRows, Part

CHARS_PER_TOKEN = 4.0


class Size(Record):
    """A dataset's size.

    Attributes:
        characters: Of all messages; 0 where nothing is known of the texts.
        exact: Whether the rows are known, or an upper bound until summaries are written.
    """

    rows: int
    characters: int
    exact: bool


@cache
def size(dataset: Dataset) -> Size:
    """The dataset's size; kept by the dataset's key, as planning, preflight and report all ask for it.

    Raises:
        DataError: A row of a file that cannot be used.
    """
    rows = direct.rows(dataset)
    if rows is not None:
        lengths = [sum(len(m.content) for m in row.messages) for row in rows]
        return Size(rows=len(lengths), characters=sum(lengths), exact=True)
    recipe = recipes.get(dataset.recipe)
    main = dataset.inputs.get("main")
    if isinstance(main, Dataset):
        found = size(main)
        planned = recipe.rows(found.rows, dataset.params)
        return Size(rows=planned, characters=round(found.characters * planned / max(1, found.rows)), exact=found.exact)
    articles = dataset.inputs.get("articles")
    if isinstance(articles, FileRef | Part) and not isinstance(getattr(articles, "source", None), HubRef):
        return _unwritten(dataset, articles)
    given = dataset.inputs.get("rows")
    if isinstance(given, HubRows) and given.rows:
        return Size(rows=dataset.params.get("rows") or given.rows, characters=0, exact=False)
    limit = dataset.params.get("limit") or getattr(articles, "limit", None) or 0
    return Size(rows=recipe.rows(limit, dataset.params), characters=0, exact=False)


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
    return Size(rows=rows, characters=round(rows * (mean_article + fixed)), exact=recipe.exact(dataset.params))
