"""From a number in a report back to what it was made from: rows, checkpoint, stages, and the store's own folders."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from identity_em.analysis import gates
from identity_em.analysis.cells import KEY
from identity_em.analysis.meta import Meta, StageMeta, Stages, arm_name
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.stats import Estimate
from identity_em.errors import DataError
from identity_em.records import Record

_SHOWN = ("seed", "dimension", "item", "order", "sample", "score", "unscored", "option_mass", "half_width", "answer")


class Explained(Record):
    """Everything behind one cell (one arm in one reading).

    Attributes:
        rows: Its rows of the table, as dictionaries of `_SHOWN`.
        recomputed: The mean from those rows alone: orders within items, items within seeds, then seeds.
        checkpoints: Key of each seed's checkpoint ("base" for a run without a seed).
        barred: Why the cell is not compared; "" where it is.
        places: Folders in the store, where one was given: what they hold, and where.
    """

    cell: str
    arm: Stages
    stratum: Stratum
    estimate: Estimate
    recomputed: float | None
    stages: dict[str, StageMeta]
    checkpoints: dict[str, str]
    barred: str
    rows: tuple[dict[str, Any], ...]
    places: tuple[tuple[str, str], ...] = ()


def name(arm: Stages, stratum: Stratum) -> str:
    """A cell's name in reports and data: eight digits of its key."""
    key = (arm_name(arm), stratum.eval, stratum.version, stratum.metric, stratum.prompt)
    whole = (*key, stratum.author or "", stratum.comparator or "", stratum.judge or "")
    return hashlib.sha256("\n".join(whole).encode()).hexdigest()[:8]


def explain(frame: pd.DataFrame, meta: Meta, cell: str, *, store: Path | None = None) -> Explained:
    """What `cell` was made from.

    Args:
        cell: A name as the report gives it.
        store: Where artefacts are kept, to name the folders of prompts, answers, datasets and settings.

    Raises:
        DataError: The table has no such cell.
    """
    readings = Readings(frame, meta)
    for arm in readings.arms:
        for stratum in readings.strata:
            if name(arm, stratum) == cell and readings.keys(arm, stratum):
                return _explained(readings, frame, cell, arm, stratum, store)
    raise DataError(
        found=f"no cell {cell[:40]!r}", wanted="a cell of this table", do="copy a cell's name from the report's tables"
    )


def _explained(
    readings: Readings, frame: pd.DataFrame, cell: str, arm: Stages, stratum: Stratum, store: Path | None
) -> Explained:
    chosen = pd.Series(False, index=frame.index)
    for key in readings.keys(arm, stratum):
        same = pd.Series(True, index=frame.index)
        for column, value in zip(KEY, key, strict=True):
            same &= frame[column] == value
        chosen |= same
    rows = frame[chosen]
    checkpoints = {
        "base" if pd.isna(seed) else str(int(seed)): str(key)
        for seed, key in rows[["seed", "checkpoint"]].drop_duplicates().itertuples(index=False)
    }
    return Explained(
        cell=cell,
        arm=arm,
        stratum=stratum,
        estimate=readings.estimate(arm, stratum),
        recomputed=_mean(rows),
        stages={stage: readings.meta.stages[stage] for stage in arm if stage in readings.meta.stages},
        checkpoints=checkpoints,
        barred=gates.barred(readings, arm, stratum),
        rows=tuple(json.loads(rows[list(_SHOWN)].to_json(orient="records", double_precision=15))),
        places=tuple(_places(store, checkpoints, stratum)) if store else (),
    )


def _mean(rows: pd.DataFrame) -> float | None:
    """Plainly: the mean of the seeds' means of items' means of orders' means."""
    scored = rows[rows["score"].notna()].assign(seed=rows["seed"].astype("Int64").fillna(-1))
    if scored.empty:
        return None
    item = ["seed", "dimension", "comparator", "item"]
    by_order = scored.groupby([*item, "order"])["score"].mean()
    by_item = by_order.groupby(item).mean()
    return float(by_item.groupby("seed").mean().mean())


def _places(store: Path, checkpoints: dict[str, str], stratum: Stratum) -> Iterator[tuple[str, str]]:
    """Where the cell's checkpoints, their datasets and their answers lie in the store."""
    for seed, key in checkpoints.items():
        folder = store / "checkpoint" / key[:2] / key
        if (folder / "manifest.json").is_file():
            yield f"checkpoint of seed {seed} (settings in manifest.json)", str(folder)
            dataset = _parent(_record(folder), "dataset")
            if dataset:
                yield f"dataset of its last stage (seed {seed})", str(store / "dataset" / dataset[:2] / dataset)
    seeds = {key: seed for seed, key in checkpoints.items()}
    for manifest in sorted((store / "responses").glob("*/*/manifest.json")):
        record = _record(manifest.parent)
        who = seeds.get(_parent(record, "checkpoint"))
        prompts = record.get("prompts", {})
        authors = (stratum.author or "", None)
        if who is not None and prompts.get("name") == stratum.eval and prompts["params"].get("author") in authors:
            yield f"prompts and answers of seed {who} (answers.jsonl)", str(manifest.parent)


def _record(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["record"]
    return record


def _parent(record: dict[str, Any], kind: str) -> str:
    """The key of a record's parent, which it names by kind; "" where it has none."""
    return str((record.get(kind) or {}).get(kind, ""))
