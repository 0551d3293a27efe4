"""A report as files: one self-contained HTML page, Markdown, LaTeX tables, and every figure as SVG, PDF and CSV."""

import hashlib
from functools import cache
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from identity_em.analysis import probed, table
from identity_em.report import answers, compared, latex, markdown, pdf, probes, svg
from identity_em.report.content import Page
from identity_em.report.sections import page
from identity_em.report.view import View

_DRAWING = (".svg", ".pdf", ".csv")


def build(source: Path, out: Path, *, cross_check: bool = False) -> Path:
    """Write `report.html`, `report.md`, `figures/` and `tables/` into `out` from one tidy table.

    Args:
        cross_check: Also fit a mixed model to every contrast (about a second each).

    Returns:
        The HTML file.

    Raises:
        DataError: There is no such table.
        DamagedArtefact: The table is not what it was written as; nothing is written.
    """
    view, frame = _view(source, cross_check=cross_check)
    made = page(view)
    found = (probes.section(probed.read(source.parent / probed.FILE)), answers.section(view, frame))
    more = [section for section in found if section is not None]
    made = made.model_copy(update={"sections": (*made.sections[:-1], *more, made.sections[-1])})
    return _write(made, out)


def compare(left: Path, right: Path, out: Path) -> Path:
    """Write a report of two tables side by side into `out`.

    Returns:
        The HTML file.

    Raises:
        DataError: There is no such table.
        DamagedArtefact: A table is not what it was written as; nothing is written.
    """
    return _write(compared.page(_view(left)[0], _view(right)[0]), out)


def _view(source: Path, *, cross_check: bool = False) -> tuple[View, pd.DataFrame]:
    frame, meta = table.read(source)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    return View(frame, meta, digest=digest, cross_check=cross_check), frame


def _write(made: Page, out: Path) -> Path:
    files: dict[str, str | bytes] = {"report.html": render(made), "report.md": markdown.render(made)}
    for figure in made.figures:
        files[f"figures/{figure.name}.svg"] = figure.drawing.standalone
        files[f"figures/{figure.name}.pdf"] = pdf.render(figure.drawing.standalone)
        files[f"figures/{figure.name}.csv"] = figure.csv
    files |= {f"tables/{name}": text for name, text in latex.tables(made).items()}
    _clear(out)
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return out / "report.html"


def _clear(out: Path) -> None:
    """Remove an earlier report's tables and figures (a drawing, its PDF and its data), and nobody else's files."""
    drawings = [path for path in out.glob("figures/*.svg") if path.with_suffix(".csv").is_file()]
    for path in [*out.glob("tables/[0-9][0-9]-*.tex"), *(d.with_suffix(s) for d in drawings for s in _DRAWING)]:
        path.unlink(missing_ok=True)


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
