"""A report's tables as LaTeX (booktabs), each in a file of its own; every text of the table is inert."""

import re
from typing import Final

from identity_em.report.content import Page, Table

_ACTIVE: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "→": r"$\rightarrow$",
    "−": r"$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "–": "--",
    "✗": r"$\times$",
    "…": r"\ldots{}",
    "\u00a0": "~",
    "\u202f": r"\,",
}


def inert(text: str) -> str:
    """A text on one line in which nothing acts: no command, no group, no maths but our own signs."""
    flat = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split(" "))
    return "".join(_ACTIVE.get(character, character) for character in flat).replace("``", "`{}`").replace("''", "'{}'")


def tables(made: Page) -> dict[str, str]:
    """Every table by its file's name, in the order of the report."""
    found = [(section.ident, table) for section in made.sections for table in section.tables]
    return {f"{number:02d}-{ident}.tex": render(table) for number, (ident, table) in enumerate(found, 1)}


def render(table: Table) -> str:
    r"""One table; needs `\usepackage{booktabs,longtable}` and T1 fonts."""
    columns = "".join("l" if place in table.words else "r" for place in range(len(table.columns)))
    lines = [
        r"% needs \usepackage[T1]{fontenc} and \usepackage{booktabs,longtable}",
        rf"\begin{{longtable}}{{{columns}}}",
        rf"\caption{{{inert(table.title)}}} \\",
        r"\toprule",
        _row(table.columns) + r" \midrule \endhead",
        *map(_row, table.rows),
        r"\bottomrule",
        r"\end{longtable}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    # A cell that opens with a bracket or a star would be read as an option of the row's end before it.
    return " & ".join(f"{{}}{inert(cell)}" if cell[:1] in ("[", "*") else inert(cell) for cell in cells) + r" \\"
