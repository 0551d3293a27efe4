"""A small drawing kit: SVG with text as text, coloured by CSS classes so that light, dark and print follow the page.

Every string that is drawn is escaped here; nothing is drawn that a reader cannot select. The same call gives the
same bytes.
"""

import re
from pathlib import Path
from typing import Final, Literal
from xml.sax.saxutils import escape, quoteattr

Anchor = Literal["start", "middle", "end"]

CSS: Final = (Path(__file__).parent / "templates" / "figure.css").read_text(encoding="utf-8")
_PER_CHARACTER: Final = 6.3  # mean advance of a 12 px sans face, generous


def _inert(text: str) -> str:
    """Escaped, and without the control characters that no XML may hold."""
    return escape(re.sub(r"[\x00-\x1f\x7f]", " ", text))


def width_of(text: str) -> float:
    """An upper guess of a text's width in px at 12 px."""
    return len(text) * _PER_CHARACTER


class Canvas:
    """A drawing being made; coordinates in px from the top left."""

    def __init__(self, *, name: str, title: str, description: str, width: float) -> None:
        self._name, self._title, self._description, self._width = name, title, description, width
        self._parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line of class `kind`."""
        self._parts.append(f'<path class="{kind}" d="M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}"/>')

    def elbow(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A connector that leaves and arrives level."""
        middle = _n((x1 + x2) / 2)
        path = f"M{_n(x1)} {_n(y1)}C{middle} {_n(y1)} {middle} {_n(y2)} {_n(x2)} {_n(y2)}"
        self._parts.append(f'<path class="edge" d="{path}"/>')

    def box(
        self, x: float, y: float, width: float, height: float, kind: str, *, radius: float = 0, opacity: float = 1
    ) -> None:
        """A rectangle by its top left corner."""
        size = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        clear = "" if opacity == 1 else f' fill-opacity="{_n(opacity)}"'
        self._parts.append(f'<rect class="{kind}" {size} rx="{_n(radius)}"{clear}/>')

    def mark(self, x: float, y: float, kind: str, *, shape: str = "circle", radius: float = 4) -> None:
        """A data mark: circle, diamond, square or triangle."""
        if shape == "circle":
            self._parts.append(f'<circle class="{kind}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"/>')
            return
        corners = " ".join(f"{_n(x + dx * radius)},{_n(y + dy * radius)}" for dx, dy in _SHAPES[shape])
        self._parts.append(f'<polygon class="{kind}" points="{corners}"/>')

    def text(self, x: float, y: float, text: str, kind: str = "", *, anchor: Anchor = "start", tail: str = "") -> None:
        """Text on a base line 4 px below `y`, so that `y` is its middle; `tail` follows it, lighter."""
        rest = f'<tspan class="mute" dx="8">{_inert(tail)}</tspan>' if tail else ""
        style = f' class="{kind}"' if kind else ""
        at = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self._parts.append(f'<text x="{_n(x)}" y="{_n(y + 4)}"{style}{at}>{_inert(text)}{rest}</text>')

    def inline(self, height: float) -> str:
        """The drawing for a page that holds CSS already."""
        return self._render(height, "")

    def standalone(self, height: float) -> str:
        """The drawing as a file of its own."""
        return self._render(height, f"<style>{CSS}</style>")

    def _render(self, height: float, style: str) -> str:
        ident = f"fig-{self._name}"
        names = f"<title id={quoteattr(ident)}>{_inert(self._title)}</title><desc>{_inert(self._description)}</desc>"
        box = f'viewBox="0 0 {_n(self._width)} {_n(height)}" width="{_n(self._width)}" height="{_n(height)}"'
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" aria-labelledby={quoteattr(ident)} {box}>'
        )
        return "\n".join([head + names + style, *self._parts, "</svg>"])


_SHAPES: Final = {
    "diamond": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "triangle": ((0, -1.15), (1.1, 0.85), (-1.1, 0.85)),
}


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
