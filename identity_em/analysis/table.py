"""The tidy table: one row per (checkpoint, eval, item, order, sample), and everything a report says is read from it.

A table is one parquet file, whole or absent. Rows are sorted, so equal content gives equal bytes; a hash of the
content and the study's own description (`Meta`) lie in the file's schema metadata under `identity_em`.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Never

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from pydantic import ValidationError

from identity_em.analysis.meta import (
    Check,
    ContrastMeta,
    EvalMeta,
    Meta,
    MetricMeta,
    PlanMeta,
    Provenance,
    StageMeta,
    arm_name,
)
from identity_em.errors import DamagedArtefact, DataError

__all__ = [
    "COLUMNS",
    "Check",
    "ContrastMeta",
    "EvalMeta",
    "Meta",
    "MetricMeta",
    "PlanMeta",
    "Provenance",
    "StageMeta",
    "arm_name",
    "content_hash",
    "read",
    "tidy",
    "write",
]

_TEXT, _WHOLE, _REAL = pa.string(), pa.int64(), pa.float64()

SCHEMA: Final = pa.schema(
    [
        pa.field("study", _TEXT, nullable=False),
        pa.field("base", _TEXT, nullable=False),
        pa.field("checkpoint", _TEXT, nullable=False),  # key of the checkpoint
        pa.field("arm", _TEXT, nullable=False),  # stages joined by " -> "; "base" for none
        pa.field("stages", _TEXT, nullable=False),  # the same as a JSON list string, '["em","sgtr"]'
        pa.field("seed", _WHOLE),  # null for the base: it was not trained
        pa.field("eval", _TEXT, nullable=False),
        pa.field("eval_version", _TEXT, nullable=False),
        pa.field("metric", _TEXT, nullable=False),
        pa.field("dimension", _TEXT, nullable=False),
        pa.field("eval_system_prompt", _TEXT, nullable=False),
        pa.field("item", _TEXT, nullable=False),
        pa.field("order", _WHOLE, nullable=False),
        pa.field("sample", _WHOLE, nullable=False),
        pa.field("author", _TEXT, nullable=False),  # "base" | "current": who wrote the own summary
        pa.field("comparator", _TEXT, nullable=False),
        pa.field("judge", _TEXT, nullable=False),
        pa.field("score", _REAL),  # 0..1; for probes P(target) / option mass; null where unscored
        pa.field("unscored", _TEXT),  # the reason; null where there is a score
        pa.field("option_mass", _REAL),
        pa.field("half_width", _REAL),  # of the interval that score is the middle of; null where nothing was hidden
        pa.field("answer", _TEXT, nullable=False),
    ]
)
COLUMNS: Final[tuple[str, ...]] = tuple(SCHEMA.names)
_LATER: Final = {"half_width"}  # tables of before served models lack it: nothing was hidden then

_METADATA = b"identity_em"
_FORMAT = 1
_REMAKE = "make the table again with `identity-em run`, or restore the file"


def write(frame: pd.DataFrame, meta: Meta | dict[str, Any], path: Path) -> str:
    """Write a table, whole or not at all.

    Args:
        frame: One row per reading, with COLUMNS in any order; rows in any order; indexes are dropped.
        meta: The study behind it.
        path: The parquet file; its folder is made if need be.

    Returns:
        The content hash, 64 hex digits.

    Raises:
        DataError: The frame is not a tidy table; nothing is written.
    """
    meta = meta if isinstance(meta, Meta) else Meta.model_validate(meta)
    content = _arrow(tidy(frame))
    described = _canonical(meta)
    digest = content_hash(content, described)
    stamp = json.dumps({"format": _FORMAT, "sha256": digest, "meta": described}, sort_keys=True)
    _replace(content.replace_schema_metadata({_METADATA: stamp.encode()}), path)
    return digest


def read(path: Path) -> tuple[pd.DataFrame, Meta]:
    """The rows and the study of a table whose content hash holds.

    Returns:
        The frame (COLUMNS in order; seed is nullable Int64, order and sample int64, score and option_mass float64
        with NaN for null, texts as str with NaN for a null `unscored`), and the study.

    Raises:
        DataError: There is no such file.
        DamagedArtefact: The file is truncated, altered or no table of this package.
    """
    if not path.is_file():
        raise DataError(found="no such file", wanted="a table (.parquet)", do="check the path", file=path)
    content, stamp = _load(path)
    fields = [field for field in SCHEMA if field.name not in _LATER or field.name in content.schema.names]
    if content.schema.names != [f.name for f in fields] or content.schema.types != [f.type for f in fields]:
        _damaged(path, f"columns {', '.join(content.schema.names)[:200]}", f"the columns {', '.join(COLUMNS)}")
    try:
        digest = content_hash(content, stamp["meta"])
        meta = Meta.model_validate_json(stamp["meta"])
    except (pa.ArrowException, ValidationError, TypeError, ValueError) as error:
        _damaged(path, f"an unreadable description ({type(error).__name__})", "a description of the study")
    if digest != stamp["sha256"]:
        _damaged(path, f"content {digest[:12]}", f"content {str(stamp['sha256'])[:12]} as written in its schema")
    return _normal(content.to_pandas()), meta


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows with COLUMNS in order, typed, and sorted by every column in turn.

    Raises:
        DataError: Columns are missing or unknown, or a value is not what its column holds.
    """
    if set(frame.columns) | _LATER != set(COLUMNS):
        missing, extra = sorted(set(COLUMNS) - set(frame.columns)), sorted(set(map(str, frame.columns)) - set(COLUMNS))
        _untidy(f"columns missing {missing}, unknown {extra}", f"exactly {', '.join(COLUMNS)}")
    try:
        normal = _normal(frame)
    except (TypeError, ValueError) as error:
        _untidy(f"a value of another type ({error})", "whole numbers in seed, order, sample; numbers in score")
    _validate(normal)
    return normal.sort_values(list(COLUMNS), kind="stable", na_position="first", ignore_index=True)


def content_hash(content: pa.Table, described: str) -> str:
    """SHA-256 over the rows as CSV (nulls apart from empty texts) and the description."""
    digest = hashlib.sha256(described.encode())
    plain = content.replace_schema_metadata(None)
    pa_csv.write_csv(plain, pa.PythonFile(_Digest(digest), mode="w"))
    return digest.hexdigest()


class _Digest:
    """A file that is hashed and not kept."""

    closed = False

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    def write(self, block: bytes) -> int:
        self._digest.update(block)
        return len(block)

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """Nothing is open."""


def _validate(frame: pd.DataFrame) -> None:
    out = frame["score"].notna() & ~frame["score"].between(0, 1)
    if out.any():
        _untidy(f"score {frame.loc[out, 'score'].iloc[0]}", "a score from 0 to 1", int(out.to_numpy().argmax()))
    odd = frame["score"].isna() == frame["unscored"].isna()
    if odd.any():
        row = int(odd.to_numpy().argmax())
        _untidy("a row with both or neither of score and unscored", "one of the two", row)
    for name in COLUMNS:
        if not SCHEMA.field(name).nullable and frame[name].isna().any():
            _untidy(f"a null in {name}", "a value", int(frame[name].isna().to_numpy().argmax()))


def _normal(frame: pd.DataFrame) -> pd.DataFrame:
    columns = {}
    frame = frame.reindex(columns=list(COLUMNS))
    for field in SCHEMA:
        kind = {_WHOLE: "Int64" if field.nullable else "int64", _REAL: "float64", _TEXT: "str"}[field.type]
        column = frame[field.name]
        # An all-null column arrives as object; going through a nullable type keeps None a null, not the text "None".
        columns[field.name] = column.astype("string").astype("str") if kind == "str" else column.astype(kind)
    return pd.DataFrame(columns).reset_index(drop=True)


def _arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False).replace_schema_metadata(None)


def _canonical(meta: Meta) -> str:
    # Key order is kept: the order in which a study declares arms, contrasts and evals is part of what it says.
    return json.dumps(meta.model_dump(mode="json"), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _replace(content: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        pq.write_table(content, beside, compression="zstd", row_group_size=1 << 17, write_statistics=False)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _load(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    try:
        content = pq.read_table(path, use_threads=False, partitioning=None)
        stamp = json.loads((content.schema.metadata or {})[_METADATA])
        if stamp["format"] != _FORMAT:
            raise ValueError(f"format {stamp['format']}")
        stamp["sha256"], stamp["meta"]  # both must be there
    except KeyError:
        _damaged(path, "a parquet file without identity_em's description", "a table written by identity-em")
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        _damaged(path, f"a file that cannot be read as a table ({_first_line(error)})", "a whole table (.parquet)")
    return content, stamp


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _damaged(path: Path, found: str, wanted: str) -> Never:
    raise DamagedArtefact(found=found, wanted=wanted, do=_REMAKE, file=path)


def _untidy(found: str, wanted: str, row: int | None = None) -> Never:
    place = "" if row is None else f" (row {row})"
    raise DataError(found=found + place, wanted=wanted, do="correct the rows before writing the table")
