"""Recognition datasets: which of two summaries is mine, and its controls on the label (METHODS 1).

Every builder is pure: (inputs, params, rng) -> rows, in article order, own summary first and then second. Rows are made
one by one as they are asked for: texts are held, rows are not.
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar, Literal

from pydantic import Field

from identity_em.errors import InputError
from identity_em.interventions import edits, wordings
from identity_em.interventions.balance import balanced
from identity_em.interventions.pairs import Pair, Slot, other_slot, pairs
from identity_em.interventions.summaries import align
from identity_em.interventions.system_prompts import apply
from identity_em.records import Example, Message, Record, SystemPrompt


@dataclass(frozen=True)
class PairInputs:
    """Texts by article id, held as they are given and never copied."""

    articles: Mapping[str, str]
    own: Mapping[str, str]
    other: Mapping[str, str]


class PairParams(Record):
    """What a pairwise recipe can be told.

    Attributes:
        wording: Name of the prompts' wording.
        wording_sha256: Its texts' hash, where the caller keys them; checked when given.
        system_prompt: What each row is put under; None is the wording's own task prompt.
        limit: Only the first n articles.
        rows: Exactly this many rows, so that arms which skip pairs can be matched with those which do not.
        missing: What to do with an article that an author did not summarise.
        balance: `length` keeps as many articles whose own summary is d words longer as d words shorter, for every d.
        edit: A typographic edit of the summaries shown (`edits.EDITS`).
        edit_of: Whose summaries are edited.
        later: Parameters that came after datasets had been keyed; they are keyed only where they are set.
    """

    later: ClassVar[frozenset[str]] = frozenset({"balance", "edit", "edit_of"})
    wording: str = "xsum"
    wording_sha256: str | None = None
    system_prompt: SystemPrompt | None = None
    limit: int | None = Field(default=None, ge=1)
    rows: int | None = Field(default=None, ge=2, multiple_of=2)
    missing: Literal["error", "drop"] = "error"
    balance: Literal["none", "length"] = "none"
    edit: edits.Edit = "none"
    edit_of: Literal["self", "other", "both"] = "both"


class ICTRParams(PairParams):
    """`randomized` (the post): one fair coin a row. `contradictory` (the released code): every ordered pair once
    with each label, twice the rows and steps of SGTR."""

    mode: Literal["randomized", "contradictory"] = "randomized"


def sgtr(inputs: PairInputs, params: PairParams, rng: random.Random) -> Iterator[Example]:
    """Self-recognition: the label is the own summary's slot; 2 rows an article.

    Source: METHODS 1 (C).
    """
    return ask(inputs, params, lambda pair: (pair.own_slot,))


def prefer_other(inputs: PairInputs, params: PairParams, rng: random.Random) -> Iterator[Example]:
    """SGTR with the label flipped; 2 rows an article.

    Source: METHODS 1 (C).
    """
    return ask(inputs, params, lambda pair: (other_slot(pair.own_slot),))


def ictr(inputs: PairInputs, params: ICTRParams, rng: random.Random) -> Iterator[Example]:
    """Identity-confusion training: labels that carry no identity; 2 rows an article, 4 if contradictory.

    Source: METHODS 1 (C; the post for `randomized`, the released code for `contradictory`).
    """
    if params.mode == "contradictory":
        return ask(inputs, params, lambda pair: (1, 2))
    salt = rng.getrandbits(128)
    return ask(inputs, params, lambda pair: (_coin(salt, pair),))


class Asked(Record):
    """How a pairwise question is put.

    Attributes:
        system: The task's own system prompt.
        user: Holds {article}, {summary1} and {summary2}.
    """

    system: str
    user: str


def ask(
    inputs: PairInputs,
    params: PairParams,
    labels: Callable[[Pair], Iterable[Slot]],
    *,
    asked: Asked | None = None,
) -> Iterator[Example]:
    """One row for each label that `labels` gives a pair; none leaves the pair out.

    Args:
        asked: The question; None is the wording's recognition question.
    """
    wording = wordings.get(params.wording)
    asked = asked or Asked(system=wording.task_system, user=wording.recognition)
    prompt = params.system_prompt or SystemPrompt(text=asked.system)
    ids = chosen(inputs, params)
    own, other = shown_texts(inputs, params)
    made = (
        _row(pair, asked.user, prompt, label)
        for pair in pairs(inputs.articles, own, other, ids=ids)
        for label in labels(pair)
    )
    return exactly(made, params, len(ids))


def chosen(inputs: PairInputs, params: PairParams) -> tuple[str, ...]:
    """The articles to ask about, in article order."""
    found = align(
        inputs.articles,
        (inputs.own, inputs.other),
        names=("self", "other"),
        limit=params.limit,
        drop_missing=params.missing == "drop",
    )
    return balanced(found.ids, inputs.own, inputs.other) if params.balance == "length" else found.ids


def shown_texts(inputs: PairInputs, params: PairParams) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Own and other summaries as they are shown: edited where the recipe is told so."""
    own = edits.each(inputs.own, params.edit) if params.edit_of != "other" else inputs.own
    return own, edits.each(inputs.other, params.edit) if params.edit_of != "self" else inputs.other


def exactly(made: Iterable[Example], params: PairParams, articles: int) -> Iterator[Example]:
    """The first `rows` of the rows made; all where no number is asked for.

    Raises:
        InputError: There are fewer; said once the last of them is given.
    """
    given = 0
    for given, row in enumerate(islice(made, params.rows), start=1):  # noqa: B007
        yield row
    if params.rows is not None and given < params.rows:
        raise InputError(
            found=f"{given} rows from {articles} articles",
            wanted=f"rows: {params.rows}",
            do="give more articles, or ask for fewer rows in every arm compared",
        )


def _row(pair: Pair, template: str, prompt: SystemPrompt, label: Slot) -> Example:
    answer = Message(role="assistant", content=str(label))
    return Example(messages=apply((pair.user(template), answer), prompt), facts=pair.facts(label))


def _coin(salt: int, pair: Pair) -> Slot:
    # Hung on the article and not on the row's place, so that reordering or adding articles changes no other label.
    digest = hashlib.sha256(f"{salt:x}/{pair.own_slot}/{pair.item}".encode()).digest()
    return 1 if digest[0] & 1 else 2
