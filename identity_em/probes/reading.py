"""How the answer to a closed question is read, in one place for every probe.

Option probabilities where the options hold enough of the next token's mass; else the generated text, parsed;
else nothing: an answer that cannot be read is unscored, never correct and never incorrect.
"""

from __future__ import annotations

from identity_em.models.answers import OPTION_MASS_GATE
from identity_em.probes.parsing import by_text, parse
from identity_em.records import Answer, Question, Score


def read(question: Question, answer: Answer, *, metric: str) -> Score:
    """The score of a closed question: the target's share of the option mass, or 1 or 0 by the text.

    Where a server hid a part of the probabilities, the score is the middle of what it can be.

    The score's `answer` is the label chosen, or the text where no label could be read.
    """
    if answer.option_mass is not None and answer.option_mass >= OPTION_MASS_GATE:
        found = answer.probabilities
        low, high = interval(answer, question.options.index(question.target or ""))
        said = question.options[found.index(max(found))]
        half = (high - low) / 2 if answer.hidden else None
        return score(question, answer, metric, (low + high) / 2, said, half_width=half)
    if answer.text is None:
        return score(question, answer, metric, None, "", why="option mass below the gate and no text")
    label = parse(answer.text, question.options) or by_text(answer.text, question.options, _prompt(question))
    if label is None:
        return score(question, answer, metric, None, answer.text, why="no single option in the text")
    return score(question, answer, metric, float(label == question.target), label)


def interval(answer: Answer, option: int) -> tuple[float, float]:
    """The least and the most that an option's share of the option mass can be; equal where nothing is hidden."""
    own, others = answer.probabilities[option], sum(answer.probabilities) - answer.probabilities[option]
    if not answer.hidden:
        share = min(1.0, own / (answer.option_mass or 1.0))
        return share, share
    more, theirs = answer.hidden[option], sum(answer.hidden) - answer.hidden[option]
    return own / (own + others + theirs), min(1.0, (own + more) / (own + more + others))


def _prompt(question: Question) -> str:
    return question.messages[-1].content if question.messages else ""


def score(
    question: Question,
    answer: Answer,
    metric: str,
    value: float | None,
    said: str,
    *,
    why: str = "",
    judge: str = "",
    half_width: float | None = None,
) -> Score:
    """A score that carries the question's labels; `why` says why there is no value."""
    return Score(
        item=question.item,
        metric=metric,
        score=value,
        unscored=why or None,
        order=question.order,
        sample=answer.sample,
        dimension=question.dimension,
        author=question.author,
        comparator=question.comparator,
        judge=judge,
        option_mass=answer.option_mass,
        half_width=half_width,
        answer=said,
    )
