"""The tidy table cut into cells (one arm, one reading), each as a matrix of items x seeds with its quality.

Orders are averaged within an item, samples within an order; unscored rows are in no mean. All cells are made in a few
passes over the table, so that the cost grows with its rows and not with the number of cells.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from identity_em.analysis.stats import BASE_SEED
from identity_em.records import Record

KEY: Final = ("arm", "eval", "eval_version", "metric", "eval_system_prompt", "author", "comparator", "judge")
ITEM: Final = ("dimension", "comparator", "item")
Key = tuple[str, ...]
Whole = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]


class Quality(Record):
    """What must stand beside a mean: how many rows were read, and how.

    Attributes:
        order_bias: Mean score in order 0 less that in order 1: over the items scored in both, or, where each was
            asked in one of them, between those asked in either; None for one order.
        order_error: Its standard error.
        option_mass: Mean probability on all options; None where it was not measured.
        hidden: Share of scored rows that are the middle of an interval, since a server hid a part.
        half_width: Mean half width of those intervals; None where there are none.
        above_half: Share of scored rows above .5 (for a probability of the right option: the accuracy).
    """

    rows: int = 0
    scored: int = 0
    order_bias: float | None = None
    order_error: float | None = None
    option_mass: float | None = None
    above_half: float | None = None
    hidden: float = 0.0
    half_width: float | None = None

    @property
    def unscored(self) -> float:
        """Share of rows without a score."""
        return 1 - self.scored / self.rows if self.rows else 0.0


class Cells:
    """Every cell of a table by its key.

    Attributes:
        matrices: Key to items x seeds (NaN where unscored; seeds as columns, BASE_SEED for a run without one). The
            items are a MultiIndex of dimension, comparator and item.
        qualities: Key to quality.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        cell, keys = _coded(frame, KEY)
        item, items = _coded(frame, ITEM)
        plain = pd.DataFrame(
            {
                "cell": cell,
                "item": item,
                "seed": frame["seed"].astype("Int64").fillna(BASE_SEED).to_numpy(dtype=np.int64),
                "order": frame["order"].to_numpy(),
                "score": frame["score"].to_numpy(dtype=np.float64),
                "mass": frame["option_mass"].to_numpy(dtype=np.float64),
                "half": frame["half_width"].to_numpy(dtype=np.float64),
            }
        )
        by_order = plain.groupby(["cell", "item", "seed", "order"])["score"].mean().unstack("order")
        self.matrices: dict[Key, pd.DataFrame] = _matrices(by_order, keys, items)
        self.qualities: dict[Key, Quality] = _qualities(plain, by_order, keys)


def _coded(frame: pd.DataFrame, names: tuple[str, ...]) -> tuple[Whole, list[Key]]:
    """A number per row for its combination of texts, and the combinations by that number."""
    mixed = np.zeros(len(frame), dtype=np.int64)
    for name in names:
        codes, texts = pd.factorize(frame[name])
        mixed = mixed * max(len(texts), 1) + codes
    _, first, number = np.unique(mixed, return_index=True, return_inverse=True)
    there = frame.iloc[first]
    return number, list(zip(*(there[name].astype(str) for name in names), strict=True))


def _matrices(by_order: pd.DataFrame, keys: list[Key], items: list[Key]) -> dict[Key, pd.DataFrame]:
    by_seed = by_order.mean(axis=1).unstack("seed")
    cells = by_seed.index.get_level_values("cell").to_numpy()
    numbers = by_seed.index.get_level_values("item").to_numpy()
    matrices = {}
    # The index is sorted by cell: each cell's rows lie together, and are cut out without looking at the others.
    ends = np.searchsorted(cells, np.arange(len(keys) + 1))
    shared: dict[bytes, tuple[Whole, pd.MultiIndex]] = {}
    for cell, key in enumerate(keys):
        mine = slice(ends[cell], ends[cell + 1])
        of = numbers[mine].tobytes()
        if of not in shared:
            shared[of] = _sorted([items[number] for number in numbers[mine]])
        order, index = shared[of]
        # Cells that asked the same items hold one and the same index, so that pairing them costs no comparison.
        matrices[key] = by_seed.iloc[mine].iloc[order].set_axis(index, axis=0).dropna(axis=1, how="all")
    return matrices


def _sorted(items: list[Key]) -> tuple[Whole, pd.MultiIndex]:
    order = sorted(range(len(items)), key=items.__getitem__)
    index = pd.MultiIndex.from_tuples([items[place] for place in order], names=ITEM)
    return np.asarray(order, dtype=np.int64), index


def _qualities(plain: pd.DataFrame, by_order: pd.DataFrame, keys: list[Key]) -> dict[Key, Quality]:
    """Quality per cell; groups are in the order of the keys, since every key has rows."""
    plain["above"] = (plain["score"] > 0.5).astype("float64").where(plain["score"].notna())
    cells = plain.groupby("cell")
    bias, error = _order_bias(by_order, len(keys))
    return {
        key: Quality(
            rows=int(rows),
            scored=int(scored),
            order_bias=_known(b),
            order_error=_known(e),
            option_mass=_known(m),
            above_half=_known(a),
            hidden=float(n / scored) if scored else 0.0,
            half_width=_known(h),
        )
        for key, rows, scored, b, e, m, a, n, h in zip(
            keys,
            cells["score"].size().to_numpy(),
            cells["score"].count().to_numpy(),
            bias,
            error,
            cells["mass"].mean().to_numpy(dtype=np.float64),
            cells["above"].mean().to_numpy(dtype=np.float64),
            cells["half"].count().to_numpy(),
            cells["half"].mean().to_numpy(dtype=np.float64),
            strict=True,
        )
    }


def _order_bias(by_order: pd.DataFrame, cells: int) -> tuple[Real, Real]:
    """Bias and its error per cell; NaN for cells of one order."""
    nothing = np.full(cells, np.nan)
    if not {0, 1} <= set(by_order.columns):
        return nothing, nothing
    numbers = range(cells)
    paired = (by_order[0] - by_order[1]).groupby(level="cell").agg(["mean", "std", "count"]).reindex(numbers)
    each = [by_order[order].groupby(level="cell").agg(["mean", "var", "count"]).reindex(numbers) for order in (0, 1)]
    apart = each[0]["mean"] - each[1]["mean"]
    apart_error = (each[0]["var"] / each[0]["count"] + each[1]["var"] / each[1]["count"]) ** 0.5
    # Items asked in both orders tell more; a cell that has none is read between items.
    both = paired["count"] > 0
    bias = paired["mean"].where(both, apart)
    error = (paired["std"] / paired["count"] ** 0.5).where(both, apart_error)
    return bias.to_numpy(dtype=np.float64), error.to_numpy(dtype=np.float64)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
