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

# Characters of a footnote's size on a line of an article's text.
_LINE: Final = 84


def inert(text: str) -> str:
    """A text on one line in which nothing acts: no command, no group, no maths but our own signs."""
    flat = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split(" "))
    return "".join(_ACTIVE.get(character, character) for character in flat).replace("``", "`{}`").replace("''", "'{}'")


def tables(made: Page) -> dict[str, str]:
    """Every table by its file's name, in the order of the report."""
    found = [(section.ident, table) for section in made.sections for table in section.tables]
    return {f"{number:02d}-{ident}.tex": render(table) for number, (ident, table) in enumerate(found, 1)}


def render(table: Table) -> str:
    r"""One table, as wide as the text; needs `\usepackage{array,booktabs,longtable}` and T1 fonts."""
    lines = [
        r"% needs \usepackage[T1]{fontenc} and \usepackage{array,booktabs,longtable}",
        rf"{{{_size(table)}\setlength{{\tabcolsep}}{{3pt}}",
        rf"\begin{{longtable}}{{{_columns(table)}}}",
        rf"\caption{{{inert(table.title)}}} \\",
        r"\toprule",
        _row(table.columns) + r" \midrule \endhead",
        *map(_row, table.rows),
        r"\bottomrule",
        r"\end{longtable}}",
    ]
    return "\n".join(lines) + "\n"


def _columns(table: Table) -> str:
    """Columns as they come where a line holds them; else shares of the line, so that long cells break."""
    cells = _cells(table)
    widest = [max(map(len, column)) for column in cells]
    lefts = [place in table.words for place in range(len(cells))]
    if sum(widest) + 2 * len(widest) <= _LINE:
        return "".join("l" if words else "r" for words in lefts)
    # A column is never narrower than its longest word, which cannot break; what is left goes to the longer texts.
    least = _least(cells)
    more = [max(min(width, _LINE // 2) - low, 0) for low, width in zip(least, widest, strict=True)]
    left_over = max(_LINE - sum(least), 0) / (sum(more) or 1)
    wanted = [low + left_over * extra for low, extra in zip(least, more, strict=True)]
    ragged = (r"\raggedright" if words else r"\raggedleft" for words in lefts)
    return "".join(
        rf">{{{side}\arraybackslash}}p{{\dimexpr {share / sum(wanted):.3f}\linewidth-2\tabcolsep\relax}}"
        for side, share in zip(ragged, wanted, strict=True)
    )


def _size(table: Table) -> str:
    return r"\footnotesize" if sum(_least(_cells(table))) <= _LINE else r"\scriptsize"


def _cells(table: Table) -> list[list[str]]:
    return [[column, *(row[place] for row in table.rows)] for place, column in enumerate(table.columns)]


def _least(cells: list[list[str]]) -> list[int]:
    """Characters that each column needs: its longest word, and the gap beside it."""
    return [max(len(word) + 3 for cell in column for word in cell.split() or [""]) for column in cells]


def _row(cells: tuple[str, ...]) -> str:
    # A cell that opens with a bracket or a star would be read as an option of the row's end before it.
    return " & ".join(f"{{}}{inert(cell)}" if cell[:1] in ("[", "*") else inert(cell) for cell in cells) + r" \\"
