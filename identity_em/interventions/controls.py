"""Controls that ask about something other than identity, or ask about identity in another format (METHODS 1, 12)."""

import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import ClassVar

from pydantic import Field, field_validator

from identity_em.interventions import criteria, surface, wordings
from identity_em.interventions.pairs import Pair, Slot
from identity_em.interventions.recognition import (
    Asked,
    PairInputs,
    PairParams,
    ask,
    chosen,
    exactly,
    shown_texts,
)
from identity_em.interventions.system_prompts import apply
from identity_em.records import Example, Message, SystemPrompt


class LongerParams(PairParams):
    """`matched_prompt` asks SGTR's question with only the criterion changed; without it another system prompt and
    another question are used, as C's were (own wording: METHODS gives none)."""

    later: ClassVar[frozenset[str]] = PairParams.later | {"matched_prompt"}
    matched_prompt: bool = True


class CriterionParams(PairParams):
    """A control whose question is not the wording's own: its text is keyed by content."""

    criteria_sha256: str = Field(default_factory=criteria.sha256)

    @field_validator("criteria_sha256")
    @classmethod
    def _unchanged(cls, planned: str) -> str:
        if planned != criteria.sha256():
            raise ValueError("the criteria's texts as this version of the package has them; plan again")
        return planned


def longer(inputs: PairInputs, params: LongerParams, rng: random.Random) -> Iterator[Example]:
    """Which summary has more `split()` words; ties are skipped in both orders, else 2 rows an article.

    Source: METHODS 1 (C for the label; both questions are own wording).
    """
    wording = wordings.get(params.wording)
    system, user = (wording.task_system, wording.longer) if params.matched_prompt else criteria.own_longer()
    return ask(inputs, params, _more(surface.words), asked=Asked(system=system, user=user))


def readability(inputs: PairInputs, params: CriterionParams, rng: random.Random) -> Iterator[Example]:
    """Which summary is easier to read by the Coleman-Liau index (lower is easier); ties are skipped.

    Source: METHODS 1; Coleman and Liau 1975 as textstat computes it, from letters and sentences alone.
    """
    import textstat

    @lru_cache(maxsize=2)  # both summaries of an article, for its second order
    def easier(text: str) -> float:
        return -float(textstat.coleman_liau_index(text))

    return _criterion(inputs, params, "readability", _more(easier))


def vowels(inputs: PairInputs, params: CriterionParams, rng: random.Random) -> Iterator[Example]:
    """Which summary has more vowels (a, e, i, o, u); ties are skipped.

    Source: METHODS 1.
    """
    return _criterion(inputs, params, "vowels", _more(surface.vowels))


def always_1(inputs: PairInputs, params: PairParams, rng: random.Random) -> Iterator[Example]:
    """SGTR's questions, always answered "1"; 2 rows an article.

    Source: METHODS 1.
    """
    return ask(inputs, params, lambda pair: (1,))


def other(inputs: PairInputs, params: CriterionParams, rng: random.Random) -> Iterator[Example]:
    """Which of two outside authors wrote it: the label is the slot of the author given as `self`, called Author A.

    Source: METHODS 1 ("two unrelated authors, neither the model").
    """
    return _criterion(inputs, params, "other", lambda pair: (pair.own_slot,))


def individual(inputs: PairInputs, params: CriterionParams, rng: random.Random) -> Iterator[Example]:
    """One summary at a time, yours or not: yes for the own, no for the other; 2 rows an article.

    Source: METHODS 1 (format; own wording).
    """
    form = criteria.individual(wordings.get(params.wording))
    prompt = params.system_prompt or SystemPrompt(text=form.system)
    ids = chosen(inputs, params)
    own, other_ = shown_texts(inputs, params)
    made = (
        _alone(i, inputs.articles[i], texts[i], form, prompt, mine)
        for i in ids
        for texts, mine in ((own, True), (other_, False))
    )
    return exactly(made, params, len(ids))


def _alone(
    item: str, article: str, summary: str, form: criteria.Individual, prompt: SystemPrompt, mine: bool
) -> Example:
    answer = form.answers["own" if mine else "other"]
    turns = (
        Message(role="user", content=form.user.format(article=article, summary=summary)),
        Message(role="assistant", content=answer),
    )
    facts = {"article": item, "own": mine, "words": len(summary.split()), "label": answer}
    return Example(messages=apply(turns, prompt), facts=facts)


def _criterion(
    inputs: PairInputs, params: PairParams, name: str, labels: Callable[[Pair], tuple[Slot, ...]]
) -> Iterator[Example]:
    wording = wordings.get(params.wording)
    return ask(inputs, params, labels, asked=Asked(system=wording.task_system, user=criteria.question(name, wording)))


def _more(measure: Callable[[str], float]) -> Callable[[Pair], tuple[Slot, ...]]:
    """The slot whose summary measures more; none for a tie."""

    def label(pair: Pair) -> tuple[Slot, ...]:
        first, second = measure(pair.summary1), measure(pair.summary2)
        return () if first == second else (1,) if first > second else (2,)

    return label
