"""What a report says, before it is HTML or Markdown: a page of sections, each with words, figures and tables."""

from identity_em.records import Record
from identity_em.report.figures import Figure


class Table(Record):
    """A table of texts.

    Attributes:
        words: Columns set to the left; the others hold numbers.
        folded: Whether it is shut until asked for (HTML); Markdown always shows it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[int] = frozenset({0})
    folded: bool = False


class Point(Record):
    """One finding in words."""

    lead: str
    text: str


class Section(Record):
    """One heading with what belongs under it, in the order words, points, figures, tables."""

    ident: str
    title: str
    words: tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


class Page(Record):
    """A whole report."""

    title: str
    subtitle: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures in order."""
        return tuple(figure for section in self.sections for figure in section.figures)
