"""A judge that says what a test tells it to, known to Inspect as `scripted/NAME`."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
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
from inspect_ai.tool import ToolChoice, ToolInfo

Say = Callable[[str], "str | dict[str, float]"]


@dataclass
class Script:
    """What the judge says to a prompt, a text or first tokens with log-probabilities, and what it was asked."""

    say: Say = lambda prompt: "1"
    asked: list[str] = field(default_factory=list)
    settings: list[GenerateConfig] = field(default_factory=list)


SCRIPT = Script()


@modelapi(name="scripted")
class Scripted(ModelAPI):
    """Ten tokens in, two tokens out."""

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        prompt = input[-1].text
        SCRIPT.asked.append(prompt)
        SCRIPT.settings.append(config)
        said = SCRIPT.say(prompt)
        text = said if isinstance(said, str) else max(said, key=lambda token: said[token])
        top = [] if isinstance(said, str) else [TopLogprob(token=t, logprob=p) for t, p in said.items()]
        logs = Logprobs(content=[Logprob(token=text, logprob=0.0, top_logprobs=top)]) if top else None
        choice = ChatCompletionChoice(message=ChatMessageAssistant(content=text), stop_reason="stop", logprobs=logs)
        usage = ModelUsage(input_tokens=10, output_tokens=2, total_tokens=12)
        return ModelOutput(model="scripted-2026-01-01", choices=[choice], usage=usage)


@pytest.fixture
def script() -> Script:
    """The judge's script, empty again afterwards."""
    SCRIPT.asked.clear()
    SCRIPT.settings.clear()
    SCRIPT.say = lambda prompt: "1"
    return SCRIPT
