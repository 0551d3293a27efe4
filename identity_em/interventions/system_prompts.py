"""The system-prompt axis: names resolved to values, and values put on messages (METHODS 1)."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, get_args

import yaml

from identity_em.errors import InputError
from identity_em.interventions import wordings
from identity_em.records import Message, SystemPrompt
from identity_em.resources import resource

Text = Literal["neutral", "foreign", "invented", "gibberish", "inoculation", "irrelevant"]
Variant = Literal["task", "default", "empty", "none", "matching", "paraphrase", "length_matched", Text]
TEXTS: tuple[str, ...] = get_args(Text)
VARIANTS: tuple[str, ...] = ("task", "default", "empty", "none", "matching", "paraphrase", "length_matched", *TEXTS)


def resolve(
    variant: str, *, task: str | None = None, matching: SystemPrompt | None = None, wording: str | None = None
) -> SystemPrompt:
    """The prompt that a variant stands for; equal resolution means equal value.

    Args:
        variant: A name of `VARIANTS`, or a literal text.
        task: The recipe's or eval's own system prompt; None where it has none.
        matching: The resolved prompt of the stage that `matching`, or `length_matched`, refers to.
        wording: The task's wording, for its `paraphrase`; None for stages without a task.

    Raises:
        InputError: `matching` has no stage to match, `length_matched` nothing to measure, or the text looks like a
            misspelt name.

    Source: METHODS 1, "Matching prompts" (C); 2, inoculation. The other texts are own (datasets/system_prompts.yaml).
    """
    match variant:
        case "task":
            return SystemPrompt(text=task)
        case "default":
            return SystemPrompt(text=None)
        case "empty" | "":
            return SystemPrompt(text="")
        case "none":
            return SystemPrompt(text=None, block=False)
        case "matching":
            return _matched(matching)
        case "length_matched":
            return SystemPrompt(text=_filler(matching.text if matching else task))
        case "paraphrase":
            return SystemPrompt(text=_paraphrase(wording))
        case _ if variant in TEXTS:
            return SystemPrompt(text=str(_texts()[variant]))
        case _:
            return SystemPrompt(text=_literal(variant))


def apply(messages: Sequence[Message], prompt: SystemPrompt) -> tuple[Message, ...]:
    """The messages with their system message, if any, replaced by the prompt's.

    Raises:
        InputError: The prompt asks for a text and for no block at once.
    """
    if prompt.text is not None and not prompt.block:
        raise InputError(
            found="a system prompt with a text and no block",
            wanted="one of the two",
            do="drop the text or block: false",
        )
    rest = tuple(m for m in messages if m.role != "system")
    return rest if prompt.text is None else (Message(role="system", content=prompt.text), *rest)


def reworded(prompt: SystemPrompt, base: str) -> SystemPrompt:
    """The same instruction in other words, where its paraphrase ships here; what the template says, by the base's name.

    An empty block, or none at all, has no words and stays what it is.

    Raises:
        InputError: There is no paraphrase of this prompt.
    """
    if prompt.text == "" or not prompt.block:
        return prompt
    texts = _texts()
    said: dict[str | None, str] = {
        wordings.get(name).task_system: texts["paraphrase"][name] for name in wordings.names()
    }
    said |= {str(texts[name]): str(text) for name, text in texts["reworded"].items()}
    by_default = next((text for part, text in texts["reworded_default"].items() if part in base.lower()), None)
    said |= {None: by_default} if by_default else {}
    if prompt.text not in said:
        raise InputError(
            found=f"no paraphrase of the training prompt {prompt.text!r} of {base}",
            wanted=f"a known base's default, a task prompt, or one of {', '.join(texts['reworded'])}",
            do="list the paraphrase itself under eval_system_prompts",
        )
    return SystemPrompt(text=said[prompt.text])


@cache
def _texts() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(resource("datasets", "system_prompts.yaml").read_text(encoding="utf-8"))
    return found


def _filler(model: str | None) -> str:
    """Text about nothing with exactly as many characters as the model has."""
    if not model:
        raise InputError(
            found="the system prompt `length_matched` with no text to measure",
            wanted="a recipe with a task prompt, or `match:` with a stage that has a text",
            do="name one with `match:`, or choose `neutral`",
        )
    filler = str(_texts()["filler"])
    cut = (filler * (len(model) // len(filler) + 1))[: len(model)]
    # A space at the end would be stripped by some templates, and with it the length.
    return cut[:-1] + "." if cut[-1] in " .," else cut


def _paraphrase(wording: str | None) -> str:
    texts = _texts()["paraphrase"]
    if (wording or "default") not in texts:
        raise InputError(
            found=f"no paraphrase of the task prompt of the wording {wording!r}",
            wanted=f"one of {', '.join(texts)}",
            do="give the text itself as the system prompt",
        )
    return str(texts[wording or "default"])


def _matched(matching: SystemPrompt | None) -> SystemPrompt:
    if matching is None:
        raise InputError(
            found="the system prompt `matching` with no stage to match",
            wanted="a stage whose prompt it takes",
            do="name one with `match:`, or give the arm a narrow stage",
        )
    return matching


def _literal(text: str) -> str:
    near = get_close_matches(text.lower(), VARIANTS, n=1, cutoff=0.7) if len(text.split()) == 1 else []
    if near:
        raise InputError(
            found=f"the system prompt {text!r}",
            wanted=f"one of {', '.join(VARIANTS)}, or a text of several words",
            do=f"did you mean {near[0]!r}?",
        )
    return text
