"""Summaries: asking a checkpoint for them, and matching them with their articles."""

from collections.abc import Mapping, Sequence

from identity_em.errors import DataError
from identity_em.interventions.wordings import Wording
from identity_em.records import Message, Question, Record


class Aligned(Record):
    """What articles and summaries have in common.

    Attributes:
        ids: Articles that every author summarised, in article order.
        extra: Per author, how many summaries belong to no article (ignored).
        missing: Per author, how many articles have no summary (left out).
    """

    ids: tuple[str, ...]
    extra: dict[str, int]
    missing: dict[str, int]


def questions(articles: Mapping[str, str], wording: Wording) -> list[Question]:
    """One open question an article, under the wording's own system prompt."""
    system = Message(role="system", content=wording.summary_system)
    return [
        Question(
            item=name,
            messages=(system, Message(role="user", content=wording.summary_user.format(article=text))),
            dimension=wording.name,
        )
        for name, text in articles.items()
    ]


def align(
    articles: Mapping[str, str],
    summaries: Sequence[Mapping[str, str]],
    *,
    names: Sequence[str],
    limit: int | None = None,
    drop_missing: bool = False,
) -> Aligned:
    """The articles that all authors summarised; files as found in the wild hold other ids too.

    Args:
        summaries: {id: text} per author, in the order of `names`.
        limit: Only the first n articles count.
        drop_missing: Leave an article without a summary out instead of refusing.

    Raises:
        DataError: An author lacks a summary of an article, or nothing is left.
    """
    wanted = list(articles)[:limit]
    missing = {who: [i for i in wanted if i not in texts] for who, texts in zip(names, summaries, strict=True)}
    for who, lacking in missing.items():
        if lacking and not drop_missing:
            share = f"{len(lacking)} of {len(wanted)} articles"
            raise DataError(
                found=f"{share} without a summary by {who!r}, the first {lacking[0]!r}",
                wanted="a summary of every article",
                do="complete the summaries, cut the articles with `limit`, or leave them out with `missing: drop`",
            )
    gone = {i for lacking in missing.values() for i in lacking}
    ids = tuple(i for i in wanted if i not in gone)
    if not ids:
        raise DataError(found="no article that all authors summarised", wanted="at least one", do="check the ids")
    extra = {who: sum(i not in articles for i in texts) for who, texts in zip(names, summaries, strict=True)}
    return Aligned(ids=ids, extra=extra, missing={who: len(lacking) for who, lacking in missing.items()})
