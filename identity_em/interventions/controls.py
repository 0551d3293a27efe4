"""Controls that ask about something other than identity."""

import random

from identity_em.interventions.pairs import Pair, Slot
from identity_em.interventions.recognition import PairInputs, PairParams, ask
from identity_em.records import Example


def longer(inputs: PairInputs, params: PairParams, rng: random.Random) -> list[Example]:
    """Which summary has more `split()` words; ties are skipped in both orders, else 2 rows an article.

    The prompt is SGTR's with only the question's criterion changed (`matched_prompt: true` in METHODS 1).

    Source: METHODS 1 (C for the label; the matched question is own wording).
    """
    return ask(inputs, params, _more_words, question="longer")


def _more_words(pair: Pair) -> tuple[Slot, ...]:
    first, second = pair.words
    if first == second:
        return ()
    return (1,) if first > second else (2,)
