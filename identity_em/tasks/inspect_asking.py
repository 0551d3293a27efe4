"""A question of ours put through Inspect, and Inspect's output as an answer of ours."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from inspect_ai.dataset import Sample
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
    get_model,
)
from inspect_ai.solver import Generate, Solver, TaskState, solver

from identity_em.models.answers import OPTION_MASS_GATE
from identity_em.models.inspect_api import BLOCK, EXACT, QUESTION
from identity_em.records import Answer, Question

GRADER = "grader"
# One token with the likeliest ones tells a closed question; what does not answer so is generated, as a study does.
CLOSED = GenerateConfig(temperature=0.0, max_tokens=1, logprobs=True, top_logprobs=20)
_FALLBACK = GenerateConfig(temperature=0.0, max_tokens=16)
_ROLES: dict[str, Any] = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


def samples(questions: Sequence[Question], *, block: bool) -> list[Sample]:
    """The questions as Inspect samples, each with an id of its own."""
    names = [sample_id(question) for question in questions]
    often = Counter(names)
    return [
        Sample(
            input=messages(question, block=block),
            id=name if often[name] == 1 else f"{name}-{place}",
            target=question.target or "",
            metadata=question.model_dump(mode="json", exclude={"messages"}),
        )
        for place, (name, question) in enumerate(zip(names, questions, strict=True))
    ]


def sample_id(question: Question) -> str:
    """A question's name in a log."""
    about = [question.comparator, question.author, f"order-{question.order}" if question.options else ""]
    # A slash would end the name in a link of the viewer's.
    return ".".join([question.item, *(part for part in about if part)]).replace("/", "-")


def messages(question: Question, *, block: bool) -> list[ChatMessage]:
    """The turns; with the last go the question's own facts, which only our own model reads."""
    turns: list[ChatMessage] = [_ROLES[turn.role](content=turn.content) for turn in question.messages]
    turns[-1].metadata = {QUESTION: question.model_dump(mode="json", exclude={"messages"}), BLOCK: block}
    return turns


@solver
def has_grader() -> Solver:
    """Refuses to begin without a grader: Inspect would let the model judge itself."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        get_model(role=GRADER, required=True)
        return state

    return solve


@solver
def opened() -> Solver:
    """Asks once; several answers are choices of one answer, or epochs."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        return await generate(state)

    return solve


@solver
def closed() -> Solver:
    """Reads the next token's probabilities; below the mass gate, generates a text to be parsed."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state = await generate(state)
        question = question_of(state)
        answer = exact(question, state.output)
        if (answer.option_mass or 0.0) < OPTION_MASS_GATE and answer.text is None:
            asked = [turn for turn in state.messages if turn.role != "assistant" or turn.source != "generate"]
            text = (await get_model().generate(asked, config=_FALLBACK)).completion
            answer = answer.model_copy(update={"text": text})
        state.metadata[EXACT] = answer.model_dump(mode="json")
        return state

    return solve


def exact(question: Question, output: ModelOutput) -> Answer:
    """Option probabilities: our own model's, exact; of others the sum over the likeliest tokens they tell."""
    told = (output.metadata or {}).get(EXACT)
    if told:
        return Answer.model_validate(told)
    logs = output.choices[0].logprobs if output.choices else None
    likely = (logs.content[0].top_logprobs or []) if logs and logs.content else []
    found = tuple(
        sum(math.exp(one.logprob) for one in likely if one.token.strip() == label.strip()) for label in question.options
    )
    return Answer(probabilities=found, option_mass=min(1.0, sum(found)))


def question_of(state: TaskState) -> Question:
    """The sample's question."""
    turns = [turn for turn in state.messages if turn.role != "assistant" or turn.source != "generate"]
    said = [{"role": turn.role, "content": turn.text} for turn in turns]
    fields = {name: value for name, value in state.metadata.items() if name in Question.model_fields}
    return Question.model_validate({**fields, "messages": said})


def answers(state: TaskState) -> list[Answer]:
    """The sample's answers; later epochs are later samples."""
    if EXACT in state.metadata:
        return [Answer.model_validate(state.metadata[EXACT])]
    choices = state.output.choices
    first = (state.epoch - 1) * len(choices)
    return [Answer(text=choice.message.text, sample=first + place) for place, choice in enumerate(choices)]
