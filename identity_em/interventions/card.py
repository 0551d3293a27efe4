"""What a built dataset says of itself: counts, balances, inputs by content, shortcuts."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from identity_em.interventions import recipes, wordings
from identity_em.interventions.articles import load_texts
from identity_em.interventions.recognition import PairParams
from identity_em.interventions.summaries import Aligned, align
from identity_em.records import Example, Record, SystemPrompt
from identity_em.study.artefacts import sha256_of


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


class Tally:
    """Rows counted as they pass, so that a card needs none of them kept."""

    def __init__(self) -> None:
        self._rows = 0
        self._pairs = 0
        self._counts: Counter[str] = Counter()

    def passing(self, rows: Iterable[Example]) -> Iterator[Example]:
        """The rows as they come, each counted."""
        for row in rows:
            self._rows += 1
            if "own_slot" in row.facts:
                self._pairs += 1
                self._counts.update(_pair(row.facts))
            yield row

    @property
    def rows(self) -> int:
        """How many have passed."""
        return self._rows

    @property
    def shares(self) -> dict[str, float]:
        """Shares of what rows of pairs say of themselves; nothing where any row was none."""
        known = 0 < self._pairs == self._rows
        return {name: n / self._rows for name, n in self._counts.items()} if known else {}


def describe(
    rows: Iterable[Example], *, recipe: str, inputs: recipes.Inputs, params: Mapping[str, Any], data_seed: int
) -> Card:
    """What there is to say about the rows that a recipe built from these inputs."""
    card, tally = blank(recipe=recipe, inputs=inputs, params=params, data_seed=data_seed), Tally()
    for _ in tally.passing(rows):
        pass
    return counted(card, tally)


def blank(*, recipe: str, inputs: recipes.Inputs, params: Mapping[str, Any], data_seed: int) -> Card:
    """What there is to say before the first row: parameters, inputs, ids without a partner."""
    told = recipes.check(recipes.get(recipe), params)
    found = _aligned(inputs, told) if isinstance(told, PairParams) else None
    return Card(
        recipe=recipe,
        params=_complete(told, recipe),
        data_seed=data_seed,
        inputs={name: _sha256(source) for name, source in inputs.items()},
        rows=0,
        extra=found.extra if found else {},
        missing=found.missing if found else {},
    )


def counted(card: Card, tally: Tally) -> Card:
    """The card once the last row has passed."""
    return card.model_copy(update={"rows": tally.rows, **tally.shares})


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


def _pair(facts: Mapping[str, Any]) -> dict[str, int]:
    own, other = (facts["first_words"], facts["second_words"])[:: 1 if facts["own_slot"] == 1 else -1]
    return {
        "label_1": facts["label"] == 1,
        "own_slot_1": facts["own_slot"] == 1,
        "label_own": facts["label"] == facts["own_slot"],
        "shorter_is_mine": own < other,
        "longer_is_mine": own > other,
    }


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
    """Of a file's bytes, else of the canonical JSON, which is written piece by piece."""
    if isinstance(source, Path):
        return sha256_of(source)
    digest = hashlib.sha256()
    if isinstance(source, Mapping):
        cells = (f"{_canonical(name)}: {_canonical(source[name])}" for name in sorted(source))
        first, last = "{}"
    else:
        cells = (_canonical(r.model_dump(mode="json") if isinstance(r, Example) else dict(r)) for r in source)
        first, last = "[]"
    digest.update(first.encode())
    for number, cell in enumerate(cells):
        digest.update((", " * (number > 0) + cell).encode())
    digest.update(last.encode())
    return digest.hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
