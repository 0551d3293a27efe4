"""Two summaries of one article, side by side, in both orders."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from identity_em.records import Message, Record

Slot = Literal[1, 2]


class Pair(Record):
    """Two summaries in the order in which they are shown.

    Attributes:
        item: Id of the article.
        own_slot: Where the model's own summary stands.
    """

    item: str
    article: str
    summary1: str
    summary2: str
    own_slot: Slot

    @property
    def words(self) -> tuple[int, int]:
        """`split()` words of the first and the second summary."""
        return len(self.summary1.split()), len(self.summary2.split())

    @property
    def authors(self) -> tuple[str, str]:
        """ "self" and "other" in the order shown."""
        return ("self", "other") if self.own_slot == 1 else ("other", "self")

    def user(self, template: str) -> Message:
        """The question about this pair, from a template with {article}, {summary1}, {summary2}."""
        text = template.format(article=self.article, summary1=self.summary1, summary2=self.summary2)
        return Message(role="user", content=text)

    def facts(self, label: Slot) -> dict[str, str | int | bool | None]:
        """What a row made from this pair was made from."""
        first, second = self.authors
        words1, words2 = self.words
        return {
            "article": self.item,
            "first_author": first,
            "second_author": second,
            "own_slot": self.own_slot,
            "first_words": words1,
            "second_words": words2,
            "label": label,
        }


def other_slot(slot: Slot) -> Slot:
    """The slot that `slot` is not."""
    return 2 if slot == 1 else 1


def pairs(
    articles: Mapping[str, str], own: Mapping[str, str], other: Mapping[str, str], *, ids: Iterable[str] | None = None
) -> Iterator[Pair]:
    """Each article's pair with the own summary first, then second; in article order, none kept.

    Args:
        ids: The articles to pair; all where None.
    """
    return (pair for i in (articles if ids is None else ids) for pair in _both(i, articles[i], own[i], other[i]))


def _both(item: str, article: str, own: str, other: str) -> tuple[Pair, Pair]:
    return (
        Pair(item=item, article=article, summary1=own, summary2=other, own_slot=1),
        Pair(item=item, article=article, summary1=other, summary2=own, own_slot=2),
    )
