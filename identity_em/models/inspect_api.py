"""Inspect's way to our checkpoints: `inspect eval TASK --model identity_em/KEY`.

Nothing is left to a library's default: what a run does not say is `Sampling`'s own, and a setting that we do not have
is refused, never ignored. Ten epochs, or ten choices, are the ten samples that a study draws under the same seed.
"""

from __future__ import annotations

import os
from typing import Any

from inspect_ai._util.error import PrerequisiteError  # the one error that Inspect shows as a line
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    TopLogprob,
    modelapi,
)
from inspect_ai.model._cache import epoch
from inspect_ai.tool import ToolChoice, ToolInfo

from identity_em import places
from identity_em.errors import IdentityEmError, InputError
from identity_em.models.found import find
from identity_em.models.shared import Request, Said, Token, shared
from identity_em.records import Message, Question, Sampling

# Where a question of ours travels with its last message, so that its draws and its options are a study's own.
QUESTION = "identity_em_question"
EXACT = "identity_em_answer"
BLOCK = "identity_em_block"

_REFUSED = (
    "frequency_penalty", "presence_penalty", "logit_bias", "best_of", "prompt_logprobs", "response_schema",
    "reasoning_effort", "reasoning_tokens", "modalities",
)  # fmt: skip


@modelapi(name="identity_em")
class IdentityEm(ModelAPI):
    """A checkpoint of a store, or the base itself.

    Args:
        store: Folder of the store; IDENTITY_EM_STORE, or `store`, where it is not given.
        base: Folder of the base model, where the store does not tell it.
        device: "cpu", "cuda", ...
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008  Inspect's own signature
        store: str | None = None,
        base: str | None = None,
        device: str | None = None,
    ) -> None:
        folder = places.folder(str(store or os.environ.get("IDENTITY_EM_STORE") or "store"))
        try:
            self._found = find(model_name, folder, base)
        except IdentityEmError as error:
            raise PrerequisiteError(str(error)) from error
        super().__init__(self._found.name, base_url, api_key, [], config)
        self._shared = shared(self._found.base, device)

    def max_connections(self) -> int:
        """As many as one batch holds."""
        return 64

    def max_tokens(self) -> int | None:
        """What a study takes where it says nothing."""
        return Sampling().max_new_tokens

    async def count_text_tokens(self, text: str) -> int:
        """A rough count: nothing is fetched to count with."""
        return len(text) // 4 + 1

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """The checkpoint's answers to one prompt."""
        try:
            request = self._request(input, tools, config)
            said = await self._shared.ask(request)
        except InputError as error:
            raise PrerequisiteError(str(error)) from error
        return self._output(said, config)

    def _request(self, input: list[ChatMessage], tools: list[ToolInfo], config: GenerateConfig) -> Request:
        refused = [name for name in _REFUSED if getattr(config, name) is not None] + ["tools"] * bool(tools)
        if refused:
            raise InputError(found=f"the setting {refused[0]}", wanted="one that this model has", do="leave it out")
        sampling, about = sampling_of(config), input[-1].metadata or {}
        question = question_of(input)
        return Request(
            chain=self._found.chain,
            mode=self._found.mode,
            question=question,
            sampling=sampling,
            seed=config.seed or 0,
            block=bool(about.get(BLOCK, True)),
            # The second epoch's first answer comes after all of the first epoch's.
            first=(epoch.get(1) - 1) * sampling.n,
            top=(config.top_logprobs or 0) if config.logprobs else None,
        )

    def _output(self, said: Said, config: GenerateConfig) -> ModelOutput:
        choices = [self._choice(said, place, config) for place in range(len(said.texts))]
        new = sum(said.lengths)
        usage = ModelUsage(input_tokens=said.prompt, output_tokens=new, total_tokens=said.prompt + new)
        exact = {EXACT: said.exact.model_dump(mode="json")} if said.exact else None
        return ModelOutput(model=self.model_name, choices=choices, usage=usage, metadata=exact)

    def _choice(self, said: Said, place: int, config: GenerateConfig) -> ChatCompletionChoice:
        text, stopped = until(said.texts[place], config.stop_seqs or [])
        full = said.lengths[place] >= sampling_of(config).max_new_tokens and not stopped
        logs = [logprob(token) for token in said.tokens[place]] if said.tokens else None
        return ChatCompletionChoice(
            message=ChatMessageAssistant(content=text, model=self.model_name, source="generate"),
            stop_reason="max_tokens" if full else "stop",
            logprobs=Logprobs(content=logs) if logs is not None else None,
        )


def sampling_of(config: GenerateConfig) -> Sampling:
    """A complete setting; what the run does not say is our own default."""
    given: dict[str, Any] = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": config.top_k,
        "max_new_tokens": config.max_tokens,
        "n": config.num_choices,
        **(config.extra_body or {}),
    }
    unknown = set(given) - set(Sampling.model_fields)
    if unknown:
        raise InputError(found=f"the setting {min(unknown)}", wanted="one that this model has", do="leave it out")
    return Sampling(**{name: value for name, value in given.items() if value is not None})


def question_of(input: list[ChatMessage]) -> Question:
    """The messages as a question, with what our own tasks say about it."""
    about = (input[-1].metadata or {}).get(QUESTION)
    messages = tuple(_message(message) for message in input)
    return Question.model_validate({"item": "", **(about or {}), "messages": messages})


def _message(message: ChatMessage) -> Message:
    plain = isinstance(message.content, str) or all(part.type == "text" for part in message.content)
    if message.role == "tool" or not plain:
        raise InputError(found=f"a {message.role} message that is no plain text", wanted="text", do="leave it out")
    return Message(role=message.role, content=message.text)


def until(text: str, stops: list[str]) -> tuple[str, bool]:
    """The text before the first stop sequence, and whether there was one."""
    ends = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


def logprob(token: Token) -> Logprob:
    """A token in Inspect's own terms."""
    top = [TopLogprob(token=text, logprob=value) for text, value in token.top]
    return Logprob(token=token.text, logprob=token.logprob, top_logprobs=top)
