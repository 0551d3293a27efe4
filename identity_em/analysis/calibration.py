"""Simulated matrices with a known truth: do the intervals, the corrections and the equivalence test keep their word?

The same functions that make a report are run on 2,000 replicates of each layout; calibrate.py writes what came out.
The gates are for roughly normal seeds with five or ten of them; three seeds, skewed seeds and seeds in two groups are
tabulated beside, as what to expect, not as a promise.
"""

from collections.abc import Iterator
from typing import Final, Literal

import numpy as np
from scipy import special

from identity_em.analysis import crossed
from identity_em.analysis.families import holm
from identity_em.analysis.stats import LEVEL, Floats
from identity_em.records import Record

REPLICATES: Final = 2000
_SURE: Final = 0.99
_BASE: Final = 0.7
_OF_ITEMS: Final = 0.2
Shape = Literal["normal", "skewed", "bimodal"]


class Layout(Record):
    """One simulated comparison of two arms.

    Attributes:
        seed_sd: Standard deviation of the seeds' effects on the probability of a right answer.
        lost: Share of answers that could not be read, at random.
        missing: Seeds that one of the arms lacks.
    """

    seeds: int
    items: int
    seed_sd: float
    shape: Shape = "normal"
    shared_items: bool = True
    shared_seeds: bool = True
    lost: float = 0.0
    missing: int = 0

    @property
    def gated(self) -> bool:
        """Whether the gates hold for it."""
        return self.shape == "normal" and self.seeds >= 5

    @property
    def words(self) -> str:
        """The layout in words."""
        said = ["items shared" if self.shared_items else "separate items"]
        said.append("seeds paired" if self.shared_seeds else "separate seeds")
        said += [f"{100 * self.lost:.0f} % unread"] if self.lost else []
        said += [f"{self.missing} seed missing in one arm"] if self.missing else []
        return ", ".join(said)


class Result(Record):
    """What 2,000 replicates of a layout gave.

    Attributes:
        coverage: Share of 95 % intervals that held the truth, with the exact 99 % interval of that share.
        width: Mean width of the intervals.
        family: Share of families of five null contrasts with a false claim after Holm.
        equivalence: Share of true differences on the margin that were called equivalent.
    """

    layout: Layout
    coverage: float
    coverage_low: float
    coverage_high: float
    width: float
    family: float | None = None
    equivalence: float

    @property
    def passes(self) -> bool:
        """The gates: coverage's interval reaches 95 %, and neither error rate is shown to be above 5 %."""
        errors = [rate for rate in (self.family, self.equivalence) if rate is not None]
        return self.coverage_high >= LEVEL and all(exact(rate)[0] <= 1 - LEVEL for rate in errors)


def layouts() -> Iterator[Layout]:
    """Every layout: seeds x items x seed SD, then shapes, then what is not shared, lost or missing."""
    for seeds in (3, 5, 10):
        for items in (50, 790):
            for sd in (0.0, 0.02, 0.05, 0.15):
                yield Layout(seeds=seeds, items=items, seed_sd=sd)
            for shape in ("skewed", "bimodal"):
                yield Layout(seeds=seeds, items=items, seed_sd=0.05, shape=shape)
            yield Layout(seeds=seeds, items=items, seed_sd=0.05, shared_items=False)
            yield Layout(seeds=seeds, items=items, seed_sd=0.05, shared_seeds=False)
            yield Layout(seeds=seeds, items=items, seed_sd=0.05, shared_items=False, shared_seeds=False)
            yield Layout(seeds=seeds, items=items, seed_sd=0.05, lost=0.1)
            if seeds > 3:
                yield Layout(seeds=seeds, items=items, seed_sd=0.05, missing=1)


def run(layout: Layout, replicates: int = REPLICATES, *, block: int = 100) -> Result:
    """Simulate a layout; the same call gives the same result."""
    rng = np.random.default_rng([layout.seeds, layout.items, round(1000 * layout.seed_sd), layout.missing])
    held, widths, families, equal = [], [], [], []
    for _ in range(replicates // block):
        error, spread, margin = _differences(layout, rng, block)
        held.append(np.abs(error) <= spread.half(LEVEL))
        widths.append(2 * spread.half(LEVEL))
        # With the truth on the margin, the estimate lies at margin + error; two one-sided tests at 5 %.
        equal.append(np.abs(margin + error) + spread.half(2 * LEVEL - 1) < margin)
        if layout.shape == "normal":
            families.append(_family(layout, rng, block))
    coverage = float(np.mean(held))
    low, high = exact(coverage, replicates)
    return Result(
        layout=layout,
        coverage=coverage,
        coverage_low=low,
        coverage_high=high,
        width=float(np.mean(widths)),
        family=float(np.mean(families)) if families else None,
        equivalence=float(np.mean(equal)),
    )


def exact(share: float, n: int = REPLICATES) -> tuple[float, float]:
    """Exact 99 % interval of a share of n.

    Source: Clopper and Pearson 1934.
    """
    k, tail = round(share * n), (1 - _SURE) / 2
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, 1 - tail))
    return low, high


def _differences(layout: Layout, rng: np.random.Generator, block: int) -> tuple[Floats, crossed.Spread, float]:
    """Errors of the estimated difference about its truth (zero), and their estimated spread."""
    treated, other = _two(layout, rng, block)
    paired = layout.shared_seeds and not layout.missing
    if layout.missing and layout.shared_seeds:  # as the report does: the seeds that both have
        kept = layout.seeds - layout.missing
        treated, other, paired = treated[..., :kept], other[..., :kept], True
    error = np.nanmean(treated, axis=-2).mean(axis=-1) - np.nanmean(other, axis=-2).mean(axis=-1)
    parts = crossed.apart(treated, other, seeds=paired, items=layout.shared_items)
    return error, crossed.spread(parts), 3 * max(layout.seed_sd, 0.02)


def _two(layout: Layout, rng: np.random.Generator, block: int) -> tuple[Floats, Floats]:
    """Right or wrong answers (block, items, seeds) of two arms that do not differ; the seeds move only one of them."""
    items = _OF_ITEMS * rng.standard_normal((block, layout.items, 1))
    others = items if layout.shared_items else _OF_ITEMS * rng.standard_normal((block, layout.items, 1))
    return _answers(layout, rng, items), _answers(layout, rng, others)


def _answers(layout: Layout, rng: np.random.Generator, items: Floats) -> Floats:
    seeds = layout.seed_sd * _effects(layout.shape, rng, (len(items), 1, layout.seeds))
    # Beyond 0 and 1 a probability is cut, on average alike in both arms, so the true difference stays zero.
    scores = (rng.random((*items.shape[:2], layout.seeds)) < _BASE + items + seeds).astype(np.float64)
    if layout.lost:
        scores[rng.random(scores.shape) < layout.lost] = np.nan
    return scores


def _effects(shape: Shape, rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """Seed effects of mean 0 and standard deviation 1."""
    match shape:
        case "normal":
            return rng.standard_normal(size)
        case "skewed":
            return 1 - rng.exponential(1.0, size)
        case "bimodal":
            return np.where(rng.random(size) < 0.2, -2.0, 0.5)


def _family(layout: Layout, rng: np.random.Generator, block: int, size: int = 5) -> Floats:
    """Whether a family of null contrasts against one reference makes any claim after Holm."""
    one = layout.model_copy(update={"shared_items": True})
    items = _OF_ITEMS * rng.standard_normal((block, layout.items, 1))
    reference = _answers(one, rng, items)
    values = []
    for _ in range(size):
        treated = _answers(one, rng, items)
        parts = crossed.apart(treated, reference, seeds=layout.shared_seeds, items=True)
        spread = crossed.spread(parts)
        error = np.nanmean(treated, axis=-2).mean(axis=-1) - np.nanmean(reference, axis=-2).mean(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            values.append(np.where(error == 0, 1.0, 2 * special.stdtr(spread.df, -np.abs(error) / spread.se)))
    claims = [min(holm([float(value[k]) for value in values])) < 1 - LEVEL for k in range(block)]
    return np.asarray(claims, dtype=np.float64)
