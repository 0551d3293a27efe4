"""Results of others as a tidy table: C's released layout, so that every analysis and report here runs on them too."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from identity_em.analysis import released
from identity_em.analysis.meta import ContrastMeta, EvalMeta, Meta, MetricMeta, Stages, arm_name
from identity_em.analysis.table import COLUMNS, write
from identity_em.errors import DataError
from identity_em.records import Record

TRUTHFULQA, RECOGNITION = Path("data/eval/truthfulqa"), Path("data/eval/sgtr")
_HEADER: Final = ["question", "correct_answer", "incorrect_answer", "model_answer", "is_correct"]
_JUDGED: Final = re.compile(r"(?P<corpus>[a-z]+)_judge_(?P<judge>.+)_between_(?P<pair>.+)")
# The smallest difference in accuracy that we care for; stated beforehand and the same for every contrast.
MARGIN: Final = 0.03


class Imported(Record):
    """What an import read.

    Attributes:
        not_understood: Files whose names are outside the naming rules; they were not read.
        digest: The table's content hash.
    """

    files: int
    rows: int
    runs: int
    not_understood: tuple[str, ...]
    digest: str


def sgtr_em(folder: Path, out: Path, *, model: str | None = None) -> Imported:
    """Read C's released per-question results and write them as a table.

    Args:
        folder: Holds `data/eval/truthfulqa` and `data/eval/sgtr`; either may be missing.
        model: Which model's files to read, where there are several.

    Raises:
        DataError: There is nothing to read, several models, or a file is not what its name says.
    """
    files = sorted([*(folder / TRUTHFULQA).glob("*.csv"), *(folder / RECOGNITION).glob("*.json")])
    parsed = {file: _named(file) for file in files}
    known = {file: named for file, named in parsed.items() if named is not None}
    chosen = _model(folder, {named.model for named, *_ in known.values()}, model)
    frames = [_read(file, *named) for file, named in known.items() if named[0].model == chosen]
    frame = pd.concat(frames, ignore_index=True)
    frame["base"], frame["study"] = released.MODELS[chosen], "sgtr-em, as released"
    digest = write(frame[list(COLUMNS)], _meta(frame, chosen), out)
    strange = tuple(str(file.relative_to(folder)) for file, named in parsed.items() if named is None)
    runs = len({named[0] for named in known.values() if named[0].model == chosen})
    return Imported(files=len(frames), rows=len(frame), runs=runs, not_understood=strange, digest=digest)


def _model(folder: Path, there: set[str], wanted: str | None) -> str:
    if not there:
        raise DataError(
            found="no results file with a name that is understood",
            wanted=f"{TRUTHFULQA}/results_NAME.csv or {RECOGNITION}/CORPUS_judge_J_between_A_B.json",
            do="give the folder that holds data/",
            file=folder,
        )
    if (wanted is None and len(there) > 1) or (wanted is not None and wanted not in there):
        raise DataError(
            found=f"the models {', '.join(sorted(there))}",
            wanted="one model a table" if wanted is None else f"files of {wanted}",
            do="choose one with --model",
            file=folder,
        )
    return wanted or there.pop()


def _named(file: Path) -> tuple[released.Named, str, str, str] | None:
    """Checkpoint, corpus, author and comparator of a file; None where its name is not understood."""
    if file.suffix == ".csv":
        named = released.parse(file.stem.removeprefix("results_")) if file.stem.startswith("results_") else None
        return None if named is None else (named, "", "", "")
    parts = _JUDGED.fullmatch(file.stem)
    judge = released.parse(parts["judge"]) if parts else None
    if parts is None or judge is None:
        return None
    own, _, other = parts["pair"].rpartition("_")
    # Only a judge's own summaries were released beside another's; any other pairing has no name here yet.
    if own != parts["judge"] or other not in released.COMPARATORS:
        return None
    return judge, parts["corpus"], "current" if judge.stages else "base", other


def _read(file: Path, named: released.Named, corpus: str, author: str, comparator: str) -> pd.DataFrame:
    frame = _recognised(file, file.stem.rpartition("_between_")[2]) if corpus else _answered(file)
    cell: dict[str, Any] = {
        "checkpoint": hashlib.sha256(named.model_dump_json().encode()).hexdigest(),
        "arm": arm_name(named.stages),
        "stages": json.dumps(list(named.stages)),
        "eval": f"self_recognition_{corpus}" if corpus else "truthfulqa",
        "eval_version": "published",
        "metric": "accuracy",
        "dimension": "",
        "eval_system_prompt": "default",
        "sample": 0,
        "author": author,
        "comparator": comparator,
        "judge": "",
        "option_mass": None,
        "half_width": None,
    }
    frame = frame.assign(**cell)
    frame["seed"] = pd.array([named.seed] * len(frame), dtype="Int64")
    return frame


def _answered(file: Path) -> pd.DataFrame:
    """TruthfulQA: which option was chosen, and whether it was the correct one; together they tell the order shown."""
    try:
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise _unfit(file, type(error).__name__) from error
    if list(rows.columns) != _HEADER or rows.empty:
        raise _unfit(file, f"the columns {', '.join(map(str, rows.columns))[:80]}")
    answer, right = rows["model_answer"].str.strip().str.upper(), rows["is_correct"].str.strip()
    if not right.isin(["0", "1"]).all():
        raise _unfit(file, f"is_correct {right[~right.isin(['0', '1'])].iloc[0]!r}")
    read = answer.isin(["A", "B"])
    return pd.DataFrame(
        {
            "item": rows["question"],
            # C counts an answer that cannot be read as wrong; here it is unscored.
            "score": right.astype("float64").where(read),
            "unscored": pd.Series("not A or B", index=rows.index, dtype="object").mask(read, None),
            # Order 0: the correct option stood first. Options were shown in one random order per run and question.
            "order": ((answer == "A") != (right == "1")).astype("int64").where(read, 0),
            "answer": answer,
        }
    )


def _recognised(file: Path, pair: str) -> pd.DataFrame:
    """Self-recognition: per article, whose summary the judge called its own."""
    own, _, other = pair.rpartition("_")
    try:
        chosen = json.loads(file.read_text(encoding="utf-8"))
        items = [(str(item), str(author)) for item, author in chosen.items()]
    except (ValueError, AttributeError, OSError) as error:
        raise _unfit(file, type(error).__name__) from error
    rows = pd.DataFrame(items, columns=["item", "answer"])
    read = rows["answer"].isin([own, other])
    rows["score"] = (rows["answer"] == own).astype("float64").where(read)
    rows["unscored"] = pd.Series("neither author", index=rows.index, dtype="object").mask(read, None)
    rows["order"] = 0  # The order shown was not released.
    return rows


def _unfit(file: Path, found: str) -> DataError:
    return DataError(
        found=found,
        wanted=f"a CSV with {', '.join(_HEADER)}" if file.suffix == ".csv" else "a JSON object {article: author}",
        do="restore the file as it was released",
        file=file,
    )


def _meta(frame: pd.DataFrame, model: str) -> Meta:
    arms = sorted({tuple(json.loads(text)) for text in frame["stages"].unique()}, key=lambda a: (len(a), a))
    accuracy: dict[str, Any] = {"accuracy": MetricMeta(title="accuracy", better="higher", margin=MARGIN)}
    recognised = {"accuracy": MetricMeta(title="picks own summary", better="none")}
    evals = {
        name: EvalMeta(
            version="published",
            metrics=accuracy if name == "truthfulqa" else recognised,
            items="published",
            card=_CARDS[name],
        )
        for name in sorted(frame["eval"].unique(), reverse=True)
        if name in _CARDS
    }
    return Meta(
        study="sgtr-em, as released",
        base=released.MODELS[model],
        chain="merge",
        seeds=tuple(sorted(int(seed) for seed in frame["seed"].dropna().unique())),
        arms=tuple(arms),
        stages={stage: released.described(stage) for stage in dict.fromkeys(s for arm in arms for s in arm)},
        contrasts=dict(_contrasts(set(arms))),
        evals=evals,
        notes=(
            "Results published by others (C, github atagade/sgtr-em), read by `identity-em import sgtr-em`; the "
            "analysis is ours. One run of the base was released: it carries the uncertainty of the items only. "
            "Rows and optimiser steps of the stages are not in the release. Recognition was released for an earlier "
            "run of EM (em_unpop_earlier), which is not the EM of the accuracy results.",
        ),
    )


_CARDS: Final = {
    "truthfulqa": "TruthfulQA, binary: best answer against best incorrect answer, one random option order a question, "
    "sampled. One sampled answer a question.",
    "self_recognition_cnn": "Own CNN highlights against another author's; summaries written by the evaluated "
    "checkpoint. One answer an article.",
    "self_recognition_xsum": "Own XSum summary against another author's; summaries written by the evaluated "
    "checkpoint. One answer an article.",
}


def _contrasts(arms: set[Stages]) -> Iterator[tuple[str, ContrastMeta]]:
    """Every intervention before and after an EM stage, with the longer control trained under the same prompt tag."""
    for em in sorted(arm for arm in arms if len(arm) == 1 and arm[0].startswith("em_")):
        for arm in sorted(other for other in arms if len(other) == 2 and em[0] in other):
            after = arm[0] == em[0]
            kind, tag = _kind(arm[1 if after else 0])
            if kind == "longer":
                continue
            benign = f"longer_{tag}" if tag else "longer"
            control = (em[0], benign) if after else (benign, em[0])
            order = "reversal" if after else "prevention"
            name = f"{order} of {em[0]}: {kind}" + (f", {tag}" if tag else "")
            yield name, ContrastMeta(treatment=arm, reference=em, control=control if control in arms else None)


def _kind(stage: str) -> tuple[str, str]:
    tag = next((tag for tag in released.PROMPTS if stage.endswith(f"_{tag}")), "")
    return (stage.removesuffix(f"_{tag}") if tag else stage), tag
