"""A line of a benchmark: what was measured, and its ratio to the peer run beside it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        value: In the unit that the name ends with.
        ratio: `value` over the value of the row called `against`.
    """

    name: str
    value: float
    ratio: float
    against: str
