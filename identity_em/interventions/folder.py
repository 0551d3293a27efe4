"""A dataset as a folder: rows.jsonl to train on, facts.jsonl and card.md beside it; whole or absent."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from identity_em.errors import InputError
from identity_em.interventions import card, recipes, system_prompts
from identity_em.records import Example
from identity_em.study.artefacts import Dataset

ROWS, FACTS, CARD = "rows.jsonl", "facts.jsonl", "card.md"


def write_into(
    out: Path,
    rows: Iterable[Example],
    *,
    recipe: str,
    inputs: recipes.Inputs,
    params: Mapping[str, Any],
    data_seed: int,
) -> card.Card:
    """Writes the three files into a folder that is there, row by row, and returns what the card says."""
    facts, tally = card.blank(recipe=recipe, inputs=inputs, params=params, data_seed=data_seed), card.Tally()
    with _lines(out / ROWS) as told, _lines(out / FACTS) as beside:
        for row in tally.passing(rows):
            told.write(_line({"messages": [message.model_dump() for message in row.messages]}))
            beside.write(_line(row.facts))
    facts = card.counted(facts, tally)
    (out / CARD).write_text(card.text(facts), encoding="utf-8", newline="\n")
    return facts


def fill(out: Path, dataset: Dataset, rows: Iterable[Example], inputs: recipes.Inputs) -> dict[str, Any]:
    """Writes a keyed dataset's three files into a folder that is there; returns the card's facts."""
    facts = write_into(
        out, rows, recipe=dataset.recipe, inputs=inputs, params=dataset.params, data_seed=dataset.data_seed
    )
    return facts.model_dump(exclude_none=True)


def write(
    out: Path,
    rows: Iterable[Example],
    *,
    recipe: str,
    inputs: recipes.Inputs,
    params: Mapping[str, Any],
    data_seed: int,
) -> card.Card:
    """Writes the folder `out`, whole or not at all.

    Raises:
        InputError: `out` is a file, or a folder that holds something.
    """
    _refuse_used(out)
    new = [parent for parent in out.parents if not parent.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        facts = write_into(beside, rows, recipe=recipe, inputs=inputs, params=params, data_seed=data_seed)
        beside.chmod(0o755)  # mkdtemp's 0700 is for secrets
        beside.replace(out)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        for parent in new:
            parent.rmdir()
        raise
    return facts


def by_hand(
    recipe: str,
    *,
    articles: Path,
    self_: Path,
    other: Path,
    out: Path,
    wording: str = "xsum",
    mode: str | None = None,
    system_prompt: str | None = None,
    data_seed: int = 0,
    limit: int | None = None,
) -> card.Card:
    """Builds a pairwise recipe from three files into the folder `out`.

    Args:
        mode: How ICTR draws labels; None is the recipe's default.
        system_prompt: A variant or a literal text; None is the recipe's default.

    Raises:
        InputError: Anything given cannot be used; nothing was written.
    """
    _refuse_used(out)
    wanted = recipes.get(recipe)
    if wanted.inputs != recipes.PAIRWISE:
        raise InputError(
            found=f"the recipe {recipe!r}, which takes {', '.join(wanted.inputs)}",
            wanted="a recipe of articles and two authors' summaries",
            do="use it in a study",
        )
    task = recipes.task_system(recipe, {}, wording)
    prompt = system_prompts.resolve(system_prompt or wanted.system_prompt, task=task)
    params: dict[str, Any] = {"wording": wording, "system_prompt": prompt.model_dump(), "limit": limit}
    if mode is not None:
        params["mode"] = mode
    inputs: recipes.Inputs = {"articles": articles, "self": self_, "other": other}
    rows = recipes.stream(recipe, inputs, params, data_seed)
    return write(out, rows, recipe=recipe, inputs=inputs, params=params, data_seed=data_seed)


def _lines(path: Path) -> IO[str]:
    return path.open("w", encoding="utf-8", newline="\n")


def _line(row: Mapping[str, Any]) -> str:
    return _one_line(json.dumps(row, ensure_ascii=False)) + "\n"


def _one_line(text: str) -> str:
    # Line ends to Python's splitlines, though not to JSON: escaped, so that every reader counts the same rows.
    return text.replace("\x85", "\\u0085").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _refuse_used(out: Path) -> None:
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise InputError(
            found=f"{'a file' if out.is_file() else 'a folder that holds something'} at {out}",
            wanted="a new or empty folder",
            do="give another --out",
        )
