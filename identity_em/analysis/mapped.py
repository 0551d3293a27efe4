"""Any tidy CSV as our table: a YAML file says which of its columns is which of ours, and what the study was."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pandas as pd
import yaml
from pydantic import Field, ValidationError

from identity_em.analysis.meta import ContrastMeta, EvalMeta, Meta, StageMeta, arm_name
from identity_em.analysis.table import COLUMNS, write
from identity_em.errors import DataError
from identity_em.records import Record

# What a column holds where a mapping names none; the others must be named.
DEFAULTS: Final[dict[str, Any]] = {
    "eval_version": "1",
    "metric": "score",
    "dimension": "",
    "eval_system_prompt": "default",
    "order": 0,
    "sample": 0,
    "author": "",
    "comparator": "",
    "judge": "",
    "option_mass": None,
    "half_width": None,
    "answer": "",
    "seed": None,
}
_OURS: Final = tuple(name for name in COLUMNS if name not in ("study", "base", "checkpoint", "arm", "unscored"))


class Mapping(Record):
    """The YAML file.

    Attributes:
        columns: Our column to theirs; `stages`, `eval`, `item` and `score` at least (or in `constants`).
        constants: Our column to one value for all rows.
        separator: Between the stages in their `stages` column; an empty text there is the base.
        base_name: What their `stages` column holds for the base, where it is not empty.
        scale: Their lowest and highest score; ours are 0..1. An empty score is an unscored answer.
    """

    study: str
    base: str
    columns: dict[str, str]
    constants: dict[str, str | int | float] = Field(default_factory=dict)
    separator: str = Field(default=" -> ", min_length=1)
    base_name: str = "base"
    scale: tuple[float, float] = (0.0, 1.0)
    stages: dict[str, StageMeta] = Field(default_factory=dict)
    contrasts: dict[str, ContrastMeta] = Field(default_factory=dict)
    evals: dict[str, EvalMeta] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


def import_csv(source: Path, mapping_file: Path, out: Path) -> int:
    """Write `source` as a table; returns its number of rows.

    Raises:
        DataError: The mapping or the CSV is not what it has to be; nothing is written.
    """
    mapping = _mapping(mapping_file)
    theirs = _csv(source)
    missing = sorted(set(mapping.columns.values()) - set(theirs.columns))
    if missing:
        raise DataError(
            found=f"no column {', '.join(missing)} among {', '.join(theirs.columns)}"[:300],
            wanted="every column that the mapping names",
            do=f"correct columns in {mapping_file.name}",
            file=source,
        )
    frame = _ours(theirs, mapping, source)
    write(frame, _meta(frame, mapping), out)
    return len(frame)


def _mapping(file: Path) -> Mapping:
    try:
        mapping = Mapping.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(found=type(error).__name__, wanted="a YAML mapping", do="check the file", file=file) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(
            found=f"{where}: {first['msg']}", wanted="a mapping of columns", do="correct that entry", file=file
        ) from error
    named = [*mapping.columns, *mapping.constants]
    strange, absent = sorted(set(named) - set(_OURS)), sorted(set(_OURS) - set(named) - set(DEFAULTS))
    if strange or absent:
        raise DataError(
            found=f"unknown columns {strange}, missing columns {absent}",
            wanted=f"some of {', '.join(_OURS)}",
            do="correct columns and constants",
            file=file,
        )
    return mapping


def _csv(source: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(source, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(found=type(error).__name__, wanted="a CSV file", do="check the file", file=source) from error


def _ours(theirs: pd.DataFrame, mapping: Mapping, source: Path) -> pd.DataFrame:
    frame = pd.DataFrame(DEFAULTS, index=theirs.index).astype("object")
    for name, value in mapping.constants.items():
        frame[name] = value
    for name, column in mapping.columns.items():
        frame[name] = theirs[column]
    for name in ("score", "option_mass", "half_width", "seed", "order", "sample"):
        frame[name] = _numbers(frame[name], name, source)
    low, high = mapping.scale
    frame["score"] = (frame["score"] - low) / (high - low)
    frame["unscored"] = pd.Series("no score", index=frame.index, dtype="object").where(frame["score"].isna(), None)
    stages = {text: _stages(text, mapping) for text in frame["stages"].astype(str).unique()}
    arms = frame["stages"].astype(str).map(stages)
    frame["stages"], frame["arm"] = arms.map(lambda arm: json.dumps(list(arm))), arms.map(arm_name)
    frame["study"], frame["base"] = mapping.study, mapping.base
    names = frame["stages"] + frame["seed"].fillna(-1).astype(str)
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in names.unique()}
    frame["checkpoint"] = names.map(keys)
    return frame[list(COLUMNS)]


def _stages(text: str, mapping: Mapping) -> tuple[str, ...]:
    if text.strip() in ("", mapping.base_name):
        return ()
    return tuple(part.strip() for part in text.split(mapping.separator.strip() or mapping.separator))


def _numbers(column: "pd.Series[Any]", name: str, source: Path) -> "pd.Series[float]":
    text = column.astype("string").str.strip()
    numbers = pd.to_numeric(text.where(text != ""), errors="coerce").astype("Float64")
    bad = text.notna() & (text != "") & numbers.isna()
    if bad.any():
        row = int(bad.to_numpy().argmax())
        raise DataError(
            found=f"{text.iloc[row]!r} in {name}", wanted="a number", do="correct the row", file=source, line=row + 2
        )
    return numbers.astype("float64")


def _meta(frame: pd.DataFrame, mapping: Mapping) -> Meta:
    arms = sorted({tuple(json.loads(text)) for text in frame["stages"].unique()}, key=lambda a: (len(a), a))
    return Meta(
        study=mapping.study,
        base=mapping.base,
        chain="as imported",
        seeds=tuple(sorted(int(seed) for seed in frame["seed"].dropna().unique())),
        arms=tuple(arms),
        stages={name: mapping.stages.get(name, StageMeta(dataset="not stated")) for arm in arms for name in arm},
        contrasts=mapping.contrasts,
        evals=mapping.evals,
        notes=mapping.notes,
    )
