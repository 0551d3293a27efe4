"""The arms as a tree: what every checkpoint is made from, and which prefixes are shared."""

from collections.abc import Sequence
from typing import Final

from identity_em.analysis.meta import Stages
from identity_em.report.plots import WIDTH, Drawing
from identity_em.report.svg import Canvas, width_of

_ROW: Final = 30.0


def tree(*, arms: Sequence[Stages], focus: frozenset[str], description: str) -> Drawing:
    """Draw the base on the left and a node per checkpoint, stages from left to right.

    Args:
        arms: The arms in declared order; a prefix that is no arm itself is drawn dashed.
        focus: Stages to outline in colour (what is to be prevented or reversed).
        description: What the drawing says, for who cannot see it.
    """
    nodes = prefixes(arms)
    places = _places(nodes)
    depth = max((len(node) for node in nodes), default=0)
    wide = max(width_of(node[-1] if node else "base") for node in nodes) + 22
    column = min(210.0, (WIDTH - wide) / max(depth, 1))
    canvas = Canvas(name="arms", title="Arms of the study", description=description, width=WIDTH)
    for node in nodes:
        if node:
            up = node[:-1]
            canvas.elbow(column * len(up) + wide, places[up], column * len(node), places[node])
    for node in nodes:
        kind = "ghost" if node not in arms else "focus" if node and node[-1] in focus else "node"
        x, y = column * len(node), places[node]
        canvas.box(x, y - 11, wide, 22, kind, radius=11)
        canvas.text(x + wide / 2, y, node[-1] if node else "base", anchor="middle")
    height = max(places.values()) + 18
    return Drawing(inline=canvas.inline(height), standalone=canvas.standalone(height))


def prefixes(arms: Sequence[Stages]) -> list[Stages]:
    """Every checkpoint on the way to an arm, parents before children, in declared order."""
    found: dict[Stages, None] = {(): None}
    for arm in arms:
        for length in range(1, len(arm) + 1):
            found.setdefault(arm[:length])
    return list(found)


def _places(nodes: list[Stages]) -> dict[Stages, float]:
    places: dict[Stages, float] = {}

    def place(node: Stages, y: float) -> float:
        children = [other for other in nodes if len(other) == len(node) + 1 and other[:-1] == node]
        below = y
        for child in children:
            below = place(child, below)
        places[node] = y if not children else (places[children[0]] + places[children[-1]]) / 2
        return below if children else y + _ROW

    place((), 16.0)
    return places
