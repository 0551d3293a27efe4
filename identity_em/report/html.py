"""A report as files: one self-contained HTML page, Markdown, and every figure as SVG with its data as CSV."""

import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from identity_em.analysis import table
from identity_em.report import markdown, svg
from identity_em.report.content import Page
from identity_em.report.sections import page
from identity_em.report.view import View


def build(source: Path, out: Path) -> Path:
    """Write `report.html`, `report.md` and `figures/` into `out` from one tidy table.

    Returns:
        The HTML file.

    Raises:
        DataError: There is no such table.
        DamagedArtefact: The table is not what it was written as; nothing is written.
    """
    frame, meta = table.read(source)
    made = page(View(frame, meta, digest=hashlib.sha256(source.read_bytes()).hexdigest()))
    files = {"report.html": render(made), "report.md": markdown.render(made)}
    for figure in made.figures:
        files[f"figures/{figure.name}.svg"] = figure.drawing.standalone
        files[f"figures/{figure.name}.csv"] = figure.csv
    for name, text in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return out / "report.html"


def render(made: Page) -> str:
    """The page as one HTML file that asks for nothing else; every text of the table is escaped."""
    # The drawings escape their own texts (svg.Canvas), which is why they alone enter as markup.
    drawings = {figure.name: Markup(figure.drawing.inline) for figure in made.figures}
    style = Markup(svg.CSS + _stylesheet())
    return _environment().get_template("report.html.j2").render(
        page=made, drawings=drawings, numbers=markdown.numbered(made), style=style
    )  # fmt: skip


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("identity_em.report"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def _stylesheet() -> str:
    return (Path(__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
