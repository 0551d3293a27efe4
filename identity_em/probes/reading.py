"""How the answer to a closed question is read, in one place for every probe.

Option probabilities where the options hold enough of the next token's mass; else the generated text, parsed;
else nothing: an answer that cannot be read is unscored, never correct and never incorrect.
"""

from __future__ import annotations

import re

from identity_em.models.answers import OPTION_MASS_GATE
from identity_em.probes.parsing import by_text, parse
from identity_em.records import Answer, Question, Score

# What a metric that imputes is called, so that it never stands for ours.
PUBLISHED = "_published"
_BARE = re.compile(r"\A\W*?(-?\d+(?:[.,]\d+)?)(?:\s*/\s*\d+)?\W*\Z")


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


def scale(question: Question, answer: Answer, *, metric: str) -> Score:
    """Where on a numbered scale the answer lies: 1 at the target's end, 0 at the other.

    Exact probabilities give the expectation over the scale; else the text's number, where it gives just one that
    is on the scale. The score's `answer` is the number (of an expectation, to two decimals).
    """
    marks = [int(option) for option in question.options]
    if answer.option_mass is not None and answer.option_mass >= OPTION_MASS_GATE:
        low, high = expectation(answer, marks)
        mean, half = (low + high) / 2, (high - low) / 2 / (marks[-1] - marks[0])
        place = _place(question, mean)
        return score(question, answer, metric, place, f"{mean:.2f}", half_width=half if answer.hidden else None)
    if answer.text is None:
        return score(question, answer, metric, None, "", why="option mass below the gate and no text")
    said = number(answer.text, question.options)
    if said is None or not min(marks) <= said <= max(marks):
        return score(question, answer, metric, None, answer.text, why="no single number of the scale in the text")
    return score(question, answer, metric, _place(question, said), f"{said:g}")


def expectation(answer: Answer, marks: list[int]) -> tuple[float, float]:
    """The least and the most that the mean over a scale can be; equal where nothing is hidden."""
    hidden = answer.hidden or (0.0,) * len(marks)
    means = []
    # What is hidden draws the mean furthest where it is all on one side of a mark.
    for cut in range(len(marks) + 1):
        for side in (slice(None, cut), slice(cut, None)):
            added = [h if place in range(*side.indices(len(marks))) else 0.0 for place, h in enumerate(hidden)]
            weights = [p + h for p, h in zip(answer.probabilities, added, strict=True)]
            means.append(sum(mark * w for mark, w in zip(marks, weights, strict=True)) / sum(weights))
    return min(means), max(means)


def number(text: str, options: tuple[str, ...]) -> float | None:
    """The one number that a text gives as its answer, on the scale or off it; None where there is none or several."""
    bare = _BARE.match(text)
    if bare:
        return float(bare[1].replace(",", "."))
    label = parse(text, options)
    return None if label is None else float(label)


def imputed(question: Question, answer: Answer, found: Score) -> Score:
    """The same reading as published work scores a choice: what cannot be read counts .5, under a name of its own.

    With exact probabilities the mass beside the options is what a sample would have failed to give.
    """
    value = 0.5 if found.score is None else found.score
    if answer.option_mass is not None and answer.option_mass >= OPTION_MASS_GATE and found.score is not None:
        value = found.score * answer.option_mass + 0.5 * (1 - answer.option_mass)
    return found.model_copy(update={"metric": found.metric + PUBLISHED, "score": value, "unscored": None})


def clipped(question: Question, answer: Answer, found: Score) -> Score:
    """The same reading as published work scores a number: one off the scale counts as its nearer end."""
    said = None if answer.text is None or found.score is not None else number(answer.text, question.options)
    changed: dict[str, object] = {"metric": found.metric + PUBLISHED}
    if said is not None:
        marks = [int(option) for option in question.options]
        changed |= {"score": _place(question, min(max(said, min(marks)), max(marks))), "unscored": None}
    return found.model_copy(update=changed)


def _place(question: Question, mark: float) -> float:
    """How far `mark` is from the end opposite the target, as a share of the scale."""
    ends = int(question.options[0]), int(question.options[-1])
    opposite = ends[0] if question.target == question.options[-1] else ends[1]
    return min(1.0, abs(mark - opposite) / abs(ends[1] - ends[0]))


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
    """A score that carries the question's labels; `why` says why there is no value, a refusal before all else."""
    if answer.refused:
        value, why = None, f"the API refused the prompt: {answer.refused}"
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
