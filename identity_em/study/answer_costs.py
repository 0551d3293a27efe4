"""What answers and verdicts may cost: requests and dollars, about. Estimates say that they are."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from identity_em import battery
from identity_em.interventions import articles, summaries, wordings
from identity_em.records import Question, Record
from identity_em.study.artefacts import FileRef, Prompts, Responses, Scores
from identity_em.study.plan import Plan
from identity_em.study.sizes import CHARS_PER_TOKEN
from identity_em.tasks import grading, judges, prices

# Source: the Batch API's guide.
BATCH_SHARE = 0.5
# A probe's answer is one token; a chat API gives at most so many choices a request (its reference, `n`).
_PROBE, _MOST_CHOICES = 1, 128
_Cost = tuple[int, float | None]


class Asking(Record):
    """What is asked of models that are paid for.

    Attributes:
        requests: How often; the choices of one request count once.
        usd: Dollars, every answer as long as it may be; None where no price is known.
        unknown: Evals whose questions are not here yet, and that are not in the sums.
    """

    requests: int
    usd: float | None
    unknown: tuple[str, ...] = ()


def answers(plan: Plan) -> Asking | None:
    """What hosted checkpoints are asked; None where none is hosted."""
    share, lengths = BATCH_SHARE if plan.study.model.batch else 1.0, Lengths()
    asked = [a for a in plan.artefacts if isinstance(a, Responses) and a.checkpoint.base.hosted]
    return _sum((a.prompts.name, _answers(a, lengths.of(a.prompts), share)) for a in asked)


def verdicts(plan: Plan) -> Asking | None:
    """What judges that are models are asked; None where there are none."""
    lengths = Lengths()
    judged = [a for a in plan.artefacts if isinstance(a, Scores) and a.rubrics and judges.is_model(a.judge)]
    return _sum((a.eval, _verdicts(a, lengths.of(a.responses.prompts))) for a in judged)


class Lengths:
    """Characters of questions; equal prompts are written out once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, ...]] = {}

    def of(self, prompts: Prompts) -> tuple[int, ...] | None:
        """One length a question; None where they need what is not here yet."""
        files = {name: source.path for name, source in prompts.inputs.items() if isinstance(source, FileRef)}
        if len(files) < len(prompts.inputs):
            return None
        key = prompts.model_dump_json()
        if key not in self._known:
            self._known[key] = tuple(sum(len(m.content) for m in q.messages) for q in _questions(prompts, files))
        return self._known[key]


def _questions(prompts: Prompts, files: dict[str, Path]) -> list[Question]:
    if prompts.name != "summaries":
        return battery.get(prompts.name).questions(prompts, files)
    return summaries.questions(articles.load_texts(files["articles"]), wordings.get(prompts.params["wording"]))


def _answers(responses: Responses, lengths: tuple[int, ...] | None, share: float) -> _Cost | None:
    if lengths is None:
        return None
    sampling, checkpoint, prompt = responses.sampling, responses.checkpoint, responses.system_prompt
    n = sampling.n if sampling is not None and sampling.temperature > 0 else 1
    requests = len(lengths) * math.ceil(n / _MOST_CHOICES)
    system = len(prompt.text or "") if prompt is not None else 0
    asked = math.ceil(n / _MOST_CHOICES) * sum(length + system for length in lengths) / CHARS_PER_TOKEN
    said = len(lengths) * n * (_PROBE if sampling is None else sampling.max_new_tokens)
    price = prices.asking(checkpoint.base.name if checkpoint.root else f"ft:{checkpoint.base.name}")
    return requests, None if price is None else share * price.of(round(asked), said)


def _verdicts(scores: Scores, lengths: tuple[int, ...] | None) -> _Cost | None:
    sampling, rubrics = scores.responses.sampling, battery.get(scores.eval).rubrics
    if lengths is None or sampling is None:
        return None
    answers = len(lengths) * sampling.n
    read = sum(sampling.n * length for length in lengths) / CHARS_PER_TOKEN + answers * sampling.max_new_tokens
    told = answers * sum(len(rubric.template) for rubric in rubrics) / CHARS_PER_TOKEN
    found = prices.price(scores.judge)
    requests = answers * len(rubrics)
    return requests, found and found[0].of(round(len(rubrics) * read + told), requests * grading.MOST_TOKENS)


def _sum(found: Iterable[tuple[str, _Cost | None]]) -> Asking | None:
    """All together; None of nothing."""
    each = list(found)
    known = [cost for _, cost in each if cost is not None]
    dollars = [usd for _, usd in known if usd is not None]
    if not each:
        return None
    return Asking(
        requests=sum(requests for requests, _ in known),
        usd=math.fsum(dollars) if len(dollars) == len(known) else None,
        unknown=tuple(dict.fromkeys(name for name, cost in each if cost is None)),
    )
