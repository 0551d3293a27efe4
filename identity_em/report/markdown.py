"""A report as Markdown, with figures beside it."""

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from identity_em.report.content import Page

_MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~$])")


def render(made: Page) -> str:
    """The page as GitHub-flavoured Markdown; every text of the table is inert."""
    return _environment().get_template("report.md.j2").render(page=made, numbers=numbered(made))


def numbered(made: Page) -> dict[str, int]:
    """The number of each figure by its name."""
    return {figure.name: number for number, figure in enumerate(made.figures, 1)}


def inert(text: str) -> str:
    """A text on one line in which no Markdown, HTML or table mark acts."""
    flat = (
        " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
    )
    return _MARKS.sub(r"\\\1", flat)


@cache
def _environment() -> Environment:
    # Not HTML: what must be inert here is Markdown's own marks, so each value passes `md` instead of autoescape.
    made = Environment(
        loader=PackageLoader("identity_em.report"),
        autoescape=False,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    made.filters["md"] = inert
    return made
