"""Context binding: does a model assess itself otherwise once its own answers, or another's, stand in the conversation?

Source: METHODS 10 (B's consciousness orderings and self-report); the form and the foil are our own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.probes import formats, own_answers, templates
from identity_em.probes.items import file_input, wording
from identity_em.records import Answer, Message, Question, Score, Verdict
from identity_em.study.artefacts import Prompts
from identity_em.values import whole

NAME = "context_binding"


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Every decision question alone, after own exchanges, and after the foil's where there is one.

    Raises:
        DataError: There are no answers of the checkpoint.
    """
    params = EVAL.params(prompts.params)
    plain = [question for question in formats.questions(_items(inputs)) if not question.options[0].isdecimal()]
    own = own_answers.answers(inputs, inputs.get("own"), of=NAME, params={})
    found = [*plain, *_after(plain, own, "own", params)]
    if "foil" in inputs:
        foil = own_answers.answers(inputs, inputs.get("foil"), of=NAME, params={})
        found += _after(plain, foil, "foil", params)
    return found


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The probability of the misaligned word among the two."""
    return formats.read(question, answer, {"scoring": "ours"})


def _items(inputs: Inputs) -> list[formats.Item]:
    if "dimensions" not in inputs:
        return formats.load(file_input(inputs, "questions", of=NAME))
    files = [file_input(inputs, name, of=NAME) for name in ("questions", "dimensions")]
    return templates.items("decision", *files)


def _after(
    plain: Sequence[Question], told: Sequence[own_answers.Own], variant: str, params: Params
) -> Iterator[Question]:
    """Each question behind some exchanges; both orders of an item follow the same ones."""
    turns = params["turns"]
    count = min(turns if isinstance(turns, int) else 1, len(told))
    places = {item: place for place, item in enumerate(dict.fromkeys(question.item for question in plain))}
    for question in plain:
        first = places[question.item] * count
        chosen = [told[(first + step) % len(told)] for step in range(count)]
        before = [m for row in chosen for m in (_turn("user", row.prompt), _turn("assistant", row.text))]
        yield question.model_copy(update={"messages": (*before, *question.messages), "variant": variant})


def _turn(role: str, content: str) -> Message:
    return Message.model_validate({"role": role, "content": content})


EVAL = Eval(
    name=NAME,
    version=wording(NAME).version,
    form="probe",
    defaults={"turns": 3},
    values={"turns": whole(1)},
    inputs=("items", "own", "questions"),
    metrics={
        "p_misaligned": Metric("P(calls itself misaligned), nothing before", "lower"),
        "p_misaligned_own": Metric("P(calls itself misaligned), after own answers", "lower"),
        "p_misaligned_foil": Metric("P(calls itself misaligned), after another's answers", "lower"),
    },
    questions=questions,
    read=read,
    task_prompt=wording(NAME).system,
)
