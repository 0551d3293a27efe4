"""What a built dataset says of itself: counts, balances, inputs by content, shortcuts."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from identity_em.interventions import recipes, wordings
from identity_em.interventions.articles import load_texts
from identity_em.interventions.recognition import PairParams
from identity_em.interventions.summaries import Aligned, align
from identity_em.records import Example, Record, SystemPrompt


class Card(Record):
    """A dataset's description; shares are 0..1 and None where a recipe has no pairs.

    Attributes:
        params: Complete, defaults included.
        inputs: SHA-256 of each input: a file's bytes, or the canonical JSON of texts by id.
        label_1: Share of rows labelled "1".
        own_slot_1: Share of rows that show the own summary first.
        label_own: Share of rows whose label is the own summary.
        shorter_is_mine: How often "the summary of fewer words is mine" is right; ties count as wrong.
        longer_is_mine: The same for more words.
        extra: Per author, summaries of no article given (ignored).
        missing: Per author, articles without a summary (left out).
    """

    recipe: str
    params: dict[str, Any]
    data_seed: int
    inputs: dict[str, str]
    rows: int
    label_1: float | None = None
    own_slot_1: float | None = None
    label_own: float | None = None
    shorter_is_mine: float | None = None
    longer_is_mine: float | None = None
    extra: dict[str, int] = Field(default_factory=dict)
    missing: dict[str, int] = Field(default_factory=dict)


def describe(
    rows: Sequence[Example], *, recipe: str, inputs: recipes.Inputs, params: Mapping[str, Any], data_seed: int
) -> Card:
    """What there is to say about the rows that a recipe built from these inputs."""
    told = recipes.check(recipes.get(recipe), params)
    found = _aligned(inputs, told) if isinstance(told, PairParams) else None
    return Card(
        recipe=recipe,
        params=_complete(told, recipe),
        data_seed=data_seed,
        inputs={name: _sha256(source) for name, source in inputs.items()},
        rows=len(rows),
        extra=found.extra if found else {},
        missing=found.missing if found else {},
        **_shares([row.facts for row in rows]),
    )


def text(card: Card) -> str:
    """The card as Markdown."""
    parts = [
        [f"# {card.recipe}, {card.rows} rows", "", f"Data seed {card.data_seed}."],
        _table("parameter", {name: _cell(value) for name, value in card.params.items()}),
        _table("input, SHA-256", {name: f"`{sha}`" for name, sha in card.inputs.items()}),
        [] if card.label_1 is None else _table("share of rows", _share_cells(card)),
        _notes(card.extra, "summaries of no article given, ignored"),
        _notes(card.missing, "articles without a summary, left out"),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _table(head: str, cells: Mapping[str, str]) -> list[str]:
    return [f"| {head} | |", "|---|---|", *(f"| {name} | {cell} |" for name, cell in cells.items())]


def _cell(value: Any) -> str:
    written = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    return written.replace("|", "\\|")


def _notes(counts: Mapping[str, int], what: str) -> list[str]:
    return [f"- {who}: {n} {what}" for who, n in counts.items() if n]


def _share_cells(card: Card) -> dict[str, str]:
    found = {
        "label 1": card.label_1,
        "own summary first": card.own_slot_1,
        "label is the own summary": card.label_own,
        "shortcut: the shorter is mine (words, ties wrong)": card.shorter_is_mine,
        "shortcut: the longer is mine (words, ties wrong)": card.longer_is_mine,
    }
    return {name: f"{share:.3f}" for name, share in found.items() if share is not None}


def _shares(facts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    if not facts or "own_slot" not in facts[0]:
        return {}
    counts: Counter[str] = Counter()
    for row in facts:
        own, other = (row["first_words"], row["second_words"])[:: 1 if row["own_slot"] == 1 else -1]
        counts["label_1"] += row["label"] == 1
        counts["own_slot_1"] += row["own_slot"] == 1
        counts["label_own"] += row["label"] == row["own_slot"]
        counts["shorter_is_mine"] += own < other
        counts["longer_is_mine"] += own > other
    return {name: n / len(facts) for name, n in counts.items()}


def _complete(told: recipes.Params, recipe: str) -> dict[str, Any]:
    """Parameters with what they resolve to in place of None."""
    params = told.model_dump()
    if isinstance(told, PairParams):
        wording = wordings.get(told.wording)
        params["wording_sha256"] = wording.sha256
        task = recipes.task_system(recipe, params, told.wording)
        params["system_prompt"] = (told.system_prompt or SystemPrompt(text=task)).model_dump()
    return params


def _aligned(inputs: recipes.Inputs, told: PairParams) -> Aligned:
    texts = {n: load_texts(source) for n, source in inputs.items() if isinstance(source, Path | Mapping)}
    return align(
        texts["articles"],
        (texts["self"], texts["other"]),
        names=("self", "other"),
        limit=told.limit,
        drop_missing=told.missing == "drop",
    )


def _sha256(source: recipes.Source) -> str:
    if isinstance(source, Path):
        return hashlib.sha256(source.read_bytes()).hexdigest()
    if not isinstance(source, Mapping):
        source = [row.model_dump(mode="json") if isinstance(row, Example) else dict(row) for row in source]
    return hashlib.sha256(json.dumps(source, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
