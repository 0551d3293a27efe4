"""A map of arms over two readings, each with its intervals and its name."""

from collections.abc import Sequence
from typing import Final

from identity_em.analysis.meta import Stages
from identity_em.analysis.stats import Estimate
from identity_em.report import words
from identity_em.report.plots import WIDTH, Axis, Drawing
from identity_em.report.svg import Canvas, width_of

_TOP, _SIDE, _LEFT = 10.0, 430.0, 60.0
_APART: Final = 13.0


def scatter(
    *, name: str, title: str, axes: tuple[str, str], points: Sequence[tuple[Stages, Estimate, Estimate]]
) -> Drawing:
    """Draw one mark an arm; names stand in a column beside, joined to their marks, so that none hides another."""
    said = "; ".join(f"{words.arm(arm)}: {words.number(a.mean)}, {words.number(b.mean)}" for arm, a, b in points)
    canvas = Canvas(name=name, title=title, description=said, width=WIDTH)
    across = Axis([0.0, 1.0], left=_LEFT, right=_LEFT + _SIDE, floor=0.0, least=0.4)
    up = Axis([0.0, 1.0], left=_TOP + _SIDE, right=_TOP, floor=0.0, least=0.4)
    for tick in across.ticks:
        canvas.line(across(tick), _TOP, across(tick), _TOP + _SIDE, "grid")
        canvas.line(_LEFT, up(tick), _LEFT + _SIDE, up(tick), "grid")
        canvas.text(across(tick), _TOP + _SIDE + 12, words.number(tick), "mute small", anchor="middle")
        canvas.text(_LEFT - 8, up(tick), words.number(tick), "mute small", anchor="end")
    canvas.text(_LEFT + _SIDE / 2, _TOP + _SIDE + 30, f"{axes[0]} (across); {axes[1]} (up)", "mute", anchor="middle")
    ordered = sorted(points, key=lambda point: -(point[2].mean or 0.0))
    last = 0.0
    for arm, a, b in ordered:
        x, y = across(a.mean or 0.0), up(b.mean or 0.0)
        _cross(canvas, a, b, across, up, x, y)
        last = max(last + _APART, y, _TOP + 6)
        label = _LEFT + _SIDE + 40
        canvas.line(x + 5, y, label - 4, last, "lead")
        canvas.text(label, last, words.arm(arm), "small" if width_of(words.arm(arm)) > 300 else "")
    height = max(_TOP + _SIDE + 40, last + 14)
    return Drawing(inline=canvas.inline(height), standalone=canvas.standalone(height))


def _cross(canvas: Canvas, a: Estimate, b: Estimate, across: Axis, up: Axis, x: float, y: float) -> None:
    if a.low is not None and a.high is not None:
        canvas.line(across(a.low), y, across(a.high), y, "a thin")
    if b.low is not None and b.high is not None:
        canvas.line(x, up(b.low), x, up(b.high), "a thin")
    canvas.mark(x, y, "a")
