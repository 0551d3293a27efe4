"""The tidy table asked by arm and stratum: means, differences, and what must stand beside them."""

import json
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd

from identity_em.analysis.cells import ITEM, Cells, Key, Quality
from identity_em.analysis.meta import Meta, Stages, arm_name
from identity_em.analysis.stats import BASE_SEED, Estimate, apart, summarise
from identity_em.records import Record

SHORTCUT: Final = "shortcut_"
# Metrics read from texts alone, without a model.
_MODEL_FREE: Final = (SHORTCUT, "separability")


class Stratum(Record):
    """What is read, whatever the arm: one metric of one eval under one prompt.

    None for author, comparator, judge or dimension takes all of them; versions and prompts are never pooled.
    """

    eval: str
    version: str
    metric: str
    prompt: str
    author: str | None = ""
    comparator: str | None = ""
    judge: str | None = ""
    dimension: str | None = None

    @property
    def shortcut(self) -> bool:
        """Whether it is a baseline that asks no model."""
        return self.metric.startswith(_MODEL_FREE)


_FIELDS: Final = ("eval", "version", "metric", "prompt", "author", "comparator", "judge")


class Readings:
    """The table, grouped once, asked by arm and stratum.

    Attributes:
        arms: Those of the study that have rows, in declared order, then any that it does not declare.
        prompts: The eval system prompts, "default" first.
        strata: Everything that was read, evals and metrics in declared order, dimensions pooled.
    """

    def __init__(self, frame: pd.DataFrame, meta: Meta) -> None:
        self.meta = meta
        self._cells = Cells(frame)
        self._keys = list(self._cells.matrices)
        self._estimates: dict[tuple[Stages, Stratum], Estimate] = {}
        self._matrices: dict[tuple[Stages, Stratum], pd.DataFrame] = {}
        self.barred: dict[tuple[Stages, Stratum], str] = {}  # kept by gates.barred, which asks each cell once
        self.arms = _arms(frame, meta)
        self.prompts = tuple(sorted({key[4] for key in self._keys}, key=lambda name: (name != "default", name)))
        self.strata = tuple(sorted({_stratum(key) for key in self._keys}, key=_declared_order(meta, self.prompts)))

    def keys(self, arm: Stages, stratum: Stratum) -> list[Key]:
        """The cells that `stratum` takes in; none where it was not asked.

        The base's current summaries are the base's own: where the table holds them once, they serve as both.
        """
        found = self._fitting(arm, stratum)
        if not found and not arm and stratum.author == "current":
            return self._fitting(arm, stratum.model_copy(update={"author": "base"}))
        return found

    def _fitting(self, arm: Stages, stratum: Stratum) -> list[Key]:
        wanted = (arm_name(arm), *(getattr(stratum, name) for name in _FIELDS))
        if None not in wanted:
            return [wanted] if wanted in self._cells.matrices else []
        return [key for key in self._keys if all(w in (None, k) for w, k in zip(wanted, key, strict=True))]

    def version(self, eval_name: str) -> str:
        """The version that the study declares; where it declares none, the first in the table."""
        there = sorted({key[2] for key in self._keys if key[1] == eval_name})
        return self.meta.version(eval_name) or (there[0] if there else "")

    def dimensions(self, stratum: Stratum) -> tuple[str, ...]:
        """The dimensions of a stratum's items, sorted."""
        keys = [key for arm in self.arms for key in self._fitting(arm, stratum)]
        return tuple(sorted({name for key in keys for name in self._cells.matrices[key].index.unique("dimension")}))

    def matrix(self, arm: Stages, stratum: Stratum) -> pd.DataFrame:
        """Items x seeds: each item's mean over its orders (within an order, over samples); NaN where unscored."""
        key = (arm, stratum)
        if key not in self._matrices:
            self._matrices[key] = self._matrix(arm, stratum)
        return self._matrices[key]

    def _matrix(self, arm: Stages, stratum: Stratum) -> pd.DataFrame:
        parts = [self._cells.matrices[key] for key in self.keys(arm, stratum)]
        if not parts:
            return pd.DataFrame(index=pd.MultiIndex.from_arrays([[], [], []], names=ITEM))
        # Several judges or authors of one item count as one item.
        matrix = parts[0] if len(parts) == 1 else pd.concat(parts).groupby(level=list(ITEM)).mean()
        if stratum.dimension is None:
            return matrix
        return matrix[matrix.index.get_level_values("dimension") == stratum.dimension]

    def estimate(self, arm: Stages, stratum: Stratum) -> Estimate:
        """Mean score of an arm, 0..1."""
        key = (arm, stratum)
        if key not in self._estimates:
            matrix = self.matrix(arm, stratum)
            self._estimates[key] = summarise(matrix.mean(axis=0).dropna(), matrix)
        return self._estimates[key]

    def difference(self, arm: Stages, other: Stages, stratum: Stratum) -> Estimate:
        """Mean of `arm` less mean of `other`, -1..1.

        Paired by item and by seed where both have them (the base's one run serves every seed); arms of other seeds,
        or asked other items, are compared as they are.
        """
        ours, theirs = self.matrix(arm, stratum), self.matrix(other, stratum)
        seeds, items = _common(ours, theirs), ours.index.intersection(theirs.index)
        if not ours.empty and not theirs.empty and (not seeds or items.empty):
            left, right = (_spread(ours, seeds), _spread(theirs, seeds)) if seeds else (ours, theirs)
            if not items.empty:
                left, right = left.loc[items], right.loc[items]
            return apart(left, right, seeds=bool(seeds), items=not items.empty)
        return summarise(self.paired_means(arm, other, stratum), self.paired(arm, other, stratum), difference=True)

    def under(self, arm: Stages, stratum: Stratum, other: Stratum) -> Estimate:
        """Mean of `arm` in `stratum` less its own mean in `other` (the same items under another prompt), -1..1."""
        left, right = self.matrix(arm, stratum), self.matrix(arm, other)
        seeds = _common(left, right)
        means = (left[seeds].mean(axis=0) - right[seeds].mean(axis=0)).dropna()
        return summarise(means, left[seeds] - right[seeds], difference=True)

    def paired(self, arm: Stages, other: Stages, stratum: Stratum) -> pd.DataFrame:
        """Items x seeds: each item's score under `arm` less that under `other`; NaN unless both were scored."""
        left, right = self._both(arm, other, stratum)
        return left - right

    def paired_means(self, arm: Stages, other: Stages, stratum: Stratum) -> "pd.Series[float]":
        """One number per seed: the mean of `arm` less that of `other`, each over all that it scored."""
        left, right = self._both(arm, other, stratum)
        return (left.mean(axis=0) - right.mean(axis=0)).dropna()

    def _both(self, arm: Stages, other: Stages, stratum: Stratum) -> tuple[pd.DataFrame, pd.DataFrame]:
        left, right = self.matrix(arm, stratum), self.matrix(other, stratum)
        seeds = _common(left, right)
        return _spread(left, seeds), _spread(right, seeds)

    def quality(self, arm: Stages, stratum: Stratum) -> Quality:
        """Rows, unscored share, order bias and option mass of one cell, dimensions pooled."""
        keys = self.keys(arm, stratum)
        return self._cells.qualities[keys[0]] if len(keys) == 1 else Quality()


def _stratum(key: tuple[str, ...]) -> Stratum:
    return Stratum(**dict(zip(_FIELDS, key[1:], strict=True)))


def seeds_of(matrix: pd.DataFrame) -> set[int]:
    """The seeds that a matrix has columns for."""
    return {int(seed) for seed in matrix.columns.to_numpy(dtype=np.int64)}


def _common(left: pd.DataFrame, right: pd.DataFrame) -> list[int]:
    ours, theirs = seeds_of(left), seeds_of(right)
    if ours == {BASE_SEED} or theirs == {BASE_SEED}:
        return sorted((ours | theirs) - {BASE_SEED}) or [BASE_SEED]
    return sorted(ours & theirs)


def _spread(matrix: pd.DataFrame, seeds: list[int]) -> pd.DataFrame:
    if seeds_of(matrix) == {BASE_SEED} and seeds != [BASE_SEED]:
        return pd.DataFrame(dict.fromkeys(seeds, matrix[BASE_SEED]), index=matrix.index)
    return matrix.reindex(columns=seeds)


def _arms(frame: pd.DataFrame, meta: Meta) -> tuple[Stages, ...]:
    there = {tuple(json.loads(stages)) for stages in frame["stages"].unique()}
    declared = [arm for arm in meta.arms if arm in there]
    return (*declared, *sorted(there - set(declared), key=lambda arm: (len(arm), arm)))


def _declared_order(meta: Meta, prompts: tuple[str, ...]) -> Callable[[Stratum], tuple[Any, ...]]:
    evals = list(meta.evals)
    metrics = [(name, metric) for name, known in meta.evals.items() for metric in known.metrics]

    def rank(names: list[Any], name: Any) -> int:
        return names.index(name) if name in names else len(names)

    def key(stratum: Stratum) -> tuple[Any, ...]:
        of_metric = (stratum.shortcut, rank(metrics, (stratum.eval, stratum.metric)), stratum.metric)
        rest = (stratum.author, stratum.comparator, stratum.version, stratum.judge)
        return (rank(evals, stratum.eval), stratum.eval, *of_metric, prompts.index(stratum.prompt), *rest)

    return key
