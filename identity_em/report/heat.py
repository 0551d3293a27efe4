"""A heat map of differences: colour for size and side, the number in every cell, an outline where it is shown."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Final

from identity_em.analysis.contrasts import Difference
from identity_em.analysis.meta import Stages
from identity_em.analysis.readings import Stratum
from identity_em.report import words
from identity_em.report.plots import WIDTH, Drawing
from identity_em.report.svg import Canvas, width_of

# A reading, its title, and which side of it is better.
Column = tuple[Stratum, str, str]
_ROW: Final = 22.0
_NARROWEST: Final = 116.0  # of a column, so that its heading can be read
_FULL: Final = 0.5  # a difference of this size has the full colour


def heat(
    *,
    name: str,
    title: str,
    arms: Sequence[Stages],
    columns: Sequence[Column],
    cells: Mapping[tuple[Stages, Stratum], Difference],
) -> Drawing:
    """Draw arms as rows and readings as columns, in as many panels as the columns need to be read."""
    said = "; ".join(
        f"{words.arm(arm)}: " + ", ".join(f"{head} {_number(cells[arm, s])}" for s, head, _ in columns) for arm in arms
    )
    canvas = Canvas(name=name, title=title, description=said, width=WIDTH)
    label = min(240.0, max(width_of(words.arm(arm)) for arm in arms) + 12)
    most = max(1, int((WIDTH - label) / _NARROWEST))
    y = 0.0
    for start in range(0, len(columns), most):
        y = _panel(canvas, arms, columns[start : start + most], cells, label, y)
    return Drawing(inline=canvas.inline(y), standalone=canvas.standalone(y))


def _panel(
    canvas: Canvas,
    arms: Sequence[Stages],
    columns: Sequence[Column],
    cells: Mapping[tuple[Stages, Stratum], Difference],
    label: float,
    top: float,
) -> float:
    """As many columns as have room side by side, from `top` down; where it ends."""
    room = min((WIDTH - label) / len(columns), 220.0)
    fits = max(int(room / 7.6), 4)
    for place, (_, head, better) in enumerate(columns):
        x = label + room * (place + 0.5)
        for line, text in enumerate(_lines(head, fits)):
            canvas.text(x, top + 8 + 14 * line, text, "bold", anchor="middle")
        canvas.text(x, top + 37, f"{better} is better" if better != "none" else "", "mute small", anchor="middle")
    y = top + 50.0
    for arm in arms:
        canvas.text(0, y + _ROW / 2, words.arm(arm))
        for place, (stratum, _, better) in enumerate(columns):
            _cell(canvas, cells[arm, stratum], better, label + room * place, y, room)
        y += _ROW
    return y + 14


def _lines(head: str, fits: int) -> list[str]:
    """A heading on two lines at most; what does not fit is cut."""
    first, *more = textwrap.wrap(head, fits) or [""]
    if not more:
        return ["", first]
    rest = " ".join(more)
    return [first, rest if len(rest) <= fits else rest[: fits - 1] + "…"]


def _cell(canvas: Canvas, found: Difference, better: str, x: float, y: float, room: float) -> None:
    mean = found.shown.mean
    if mean is not None:
        good = {"higher": mean > 0, "lower": mean < 0}.get(better)
        kind = "warm" if good is False else "cool" if good else "plain"
        canvas.box(x + 1, y + 1, room - 2, _ROW - 2, kind, opacity=0.7 * min(abs(mean) / _FULL, 1.0))
        if found.direction in ("higher", "lower"):
            canvas.box(x + 1.5, y + 1.5, room - 3, _ROW - 3, "outline")
    canvas.text(x + room / 2, y + _ROW / 2, _number(found), anchor="middle")


def _number(found: Difference) -> str:
    if found.direction == "not measured":
        return words.ABSENT
    return "n.c." if found.barred else words.difference(found.shown.mean)
