"""The drawings of a report: dots with intervals by arm, and forest plots of differences."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from textwrap import wrap
from typing import Final, Literal

from identity_em.analysis.meta import Stages
from identity_em.analysis.stats import Estimate
from identity_em.records import Record
from identity_em.report import words
from identity_em.report.svg import Canvas, width_of

WIDTH: Final = 960.0
_TITLE: Final = 36  # characters of a bold title that fit over one of three panels
Shape = Literal["circle", "diamond", "square", "triangle"]
LOOKS: Final[tuple[tuple[str, Shape], ...]] = (("a", "circle"), ("b", "diamond"), ("c", "square"), ("d", "triangle"))


class Point(Record):
    """One arm's estimate in one series of a panel; `tick` is a baseline of its own (a shortcut's accuracy)."""

    arm: Stages
    series: int
    estimate: Estimate
    tick: float | None = None


class Panel(Record):
    """One axis of scores with its arms; `guide` is a line across all of them (the base, or chance)."""

    title: str
    subtitle: str
    points: tuple[Point, ...]
    guide: Estimate | None = None


class Bar(Record):
    """One row of a forest plot."""

    label: str
    estimate: Estimate
    verdict: str
    look: int


class Group(Record):
    """The rows of one contrast."""

    title: str
    detail: str
    bars: tuple[Bar, ...]


class Drawing(Record):
    """An SVG twice: for a page that holds the style already, and as a file of its own."""

    inline: str
    standalone: str


class Axis:
    """A linear axis from data to px."""

    def __init__(self, values: Iterable[float], *, left: float, right: float, floor: float, least: float) -> None:
        low, high = min(values := list(values) or [0.0]), max(values)
        short = max(0.0, least - (high - low)) / 2
        self.step = _step(high - low + 2 * short)
        self.low = max(floor, _down(low - short, self.step))
        self.high = min(1.0, -_down(-(high + short), self.step))
        self._left, self._scale = left, (right - left) / (self.high - self.low)

    def __call__(self, value: float) -> float:
        return self._left + (min(max(value, self.low), self.high) - self.low) * self._scale

    @property
    def ticks(self) -> list[float]:
        """Round numbers along the axis."""
        count = round((self.high - self.low) / self.step)
        return [self.low + i * self.step for i in range(count + 1)]


def dots(
    *, name: str, title: str, description: str, panels: Sequence[Panel], series: Sequence[str], shared: bool = False
) -> Drawing:
    """Panels side by side (three to a line) with one row per arm: mean and interval, each seed, and the guide.

    With `shared`, all panels have the axis that holds them all.
    """
    panels = [shown for panel in panels if (shown := _read(panel)).points] or panels
    span = sorted(value for panel in panels for value in _reach(panel)) if shared else []
    arms = list(dict.fromkeys(point.arm for panel in panels for point in panel.points))
    canvas = Canvas(name=name, title=title, description=description, width=WIDTH)
    y = _legend(canvas, series) if len(series) > 1 else 4.0
    for start in range(0, len(panels), 3):
        y = _line_of_panels(canvas, panels[start : start + 3], arms, len(series), y, span) + 18
    return Drawing(inline=canvas.inline(y), standalone=canvas.standalone(y))


def _read(panel: Panel) -> Panel:
    """The panel without the arms that were not read there."""
    points = tuple(p for p in panel.points if p.estimate.mean is not None or p.tick is not None)
    return panel.model_copy(update={"points": points})


def forest(*, name: str, title: str, description: str, axis_title: str, groups: Sequence[Group]) -> Drawing:
    """Differences with their intervals and verdicts, grouped by contrast, around a line at zero."""
    canvas = Canvas(name=name, title=title, description=description, width=WIDTH)
    bars = [bar for group in groups for bar in group.bars]
    ends = [v for bar in bars for v in (bar.estimate.low, bar.estimate.high, bar.estimate.mean) if v is not None]
    axis = Axis([0.0, *ends], left=250, right=565, floor=-1.0, least=0.2)
    height = sum(30 + 20 * len(group.bars) for group in groups) + 6
    _grid(canvas, axis, 0, height)
    canvas.line(axis(0), 0, axis(0), height, "zero")
    y = 0.0
    for group in groups:
        y = _group(canvas, group, axis, y)
    for tick in axis.ticks:
        canvas.text(axis(tick), height + 10, words.difference(tick), "mute small", anchor="middle")
    canvas.text((axis(axis.low) + axis(axis.high)) / 2, height + 27, axis_title, "mute small", anchor="middle")
    return Drawing(inline=canvas.inline(height + 38), standalone=canvas.standalone(height + 38))


def _group(canvas: Canvas, group: Group, axis: Axis, y: float) -> float:
    canvas.text(0, y + 16, group.title, "bold halo", tail=group.detail)
    y += 30
    for bar in group.bars:
        kind, shape = ("ink", "square") if bar.look < 0 else LOOKS[bar.look]
        canvas.text(14, y + 8, bar.label)
        _whisker(canvas, bar.estimate, axis, y + 8, kind, shape)
        canvas.text(585, y + 8, bar.verdict, _weight(bar))
        y += 20
    return y


def _weight(bar: Bar) -> str:
    if bar.estimate.spans_zero or not bar.verdict.startswith(("higher", "lower")):
        return "mute"
    return "bold" if bar.look < 0 else ""


def _line_of_panels(
    canvas: Canvas, panels: Sequence[Panel], arms: list[Stages], series: int, top: float, span: list[float]
) -> float:
    label = min(190.0, max(width_of(words.arm(arm)) for arm in arms) + 8)
    room = (WIDTH - label) / max(2, len(panels))
    row = 19.0 if series == 1 else 8.0 + 11.0 * series
    heights, y = {}, top + 40
    for before, arm in pairwise([arms[0], *arms]):
        y += 7 if len(before) != len(arm) else 0  # arms of one length stand together
        heights[arm], y = y + row / 2, y + row
        canvas.text(0, heights[arm], words.arm(arm))
    for place, panel in enumerate(panels):
        left = label + room * place + 14
        axis = Axis(span or _reach(panel), left=left, right=left + room - 42, floor=0.0, least=0.4)
        _panel(canvas, panel, heights, axis, left=left, top=top, bottom=y)
    return y + 16


def _panel(
    canvas: Canvas, panel: Panel, heights: dict[Stages, float], axis: Axis, *, left: float, top: float, bottom: float
) -> None:
    # What does not fit over its own panel would run into the next one's title.
    first, *rest = wrap(panel.title, _TITLE) or [""]
    canvas.text(left, top + 10, first, "bold")
    canvas.text(left, top + 25, " · ".join(part for part in (" ".join(rest), panel.subtitle) if part), "mute small")
    _grid(canvas, axis, top + 38, bottom + 3)
    _guide(canvas, panel.guide, axis, top + 38, bottom + 3)
    last = max(point.series for point in panel.points)
    for point in panel.points:
        _point(canvas, point, axis, heights[point.arm] + 11.0 * (point.series - last / 2))
    for tick in axis.ticks:
        canvas.text(axis(tick), bottom + 12, words.number(tick), "mute small", anchor="middle")


def _guide(canvas: Canvas, guide: Estimate | None, axis: Axis, top: float, bottom: float) -> None:
    if guide is None or guide.mean is None:
        return
    if guide.low is not None and guide.high is not None:
        canvas.box(axis(guide.low), top, axis(guide.high) - axis(guide.low), bottom - top, "band")
    canvas.line(axis(guide.mean), top, axis(guide.mean), bottom, "dash")


def _point(canvas: Canvas, point: Point, axis: Axis, y: float) -> None:
    kind, shape = LOOKS[point.series % len(LOOKS)]
    if point.tick is not None:
        canvas.line(axis(point.tick), y - 5, axis(point.tick), y + 5, f"{kind} tick")
    if len(point.estimate.seeds) > 1:
        for _, value in point.estimate.seeds:
            canvas.line(axis(value), y + 3.5, axis(value), y + 7, f"{kind} seed")
    _whisker(canvas, point.estimate, axis, y, kind, shape)


def _whisker(canvas: Canvas, estimate: Estimate, axis: Axis, y: float, kind: str, shape: str) -> None:
    if estimate.mean is None:
        return
    if estimate.low is not None and estimate.high is not None:
        canvas.line(axis(estimate.low), y, axis(estimate.high), y, f"{kind} bar")
    canvas.mark(axis(estimate.mean), y, kind, shape=shape, radius=3.8)


def _grid(canvas: Canvas, axis: Axis, top: float, bottom: float) -> None:
    for tick in axis.ticks:
        canvas.line(axis(tick), top, axis(tick), bottom, "grid")


def _legend(canvas: Canvas, series: Sequence[str]) -> float:
    x = 6.0
    for number, label in enumerate(series):
        kind, shape = LOOKS[number % len(LOOKS)]
        canvas.mark(x, 10, kind, shape=shape)
        canvas.text(x + 11, 10, label)
        x += width_of(label) + 40
    return 28.0


def _reach(panel: Panel) -> list[float]:
    """Every value that a panel must have room for."""
    estimates = [*(point.estimate for point in panel.points), *([panel.guide] if panel.guide else [])]
    ends = [value for e in estimates for value in (e.mean, e.low, e.high, *(value for _, value in e.seeds))]
    return [value for value in [*ends, *(point.tick for point in panel.points)] if value is not None]


def _step(span: float) -> float:
    return next((step for step in (0.05, 0.1, 0.2, 0.25) if span / step <= 5), 0.5)


def _down(value: float, step: float) -> float:
    return step * ((value + 1e-9) // step)
