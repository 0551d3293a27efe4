"""The system-prompt axis: names resolved to values, and values put on messages (METHODS 1)."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal, get_args

from identity_em.errors import InputError
from identity_em.records import Message, SystemPrompt

Variant = Literal["task", "default", "empty", "none", "matching"]
VARIANTS: tuple[str, ...] = get_args(Variant)


def resolve(variant: str, *, task: str | None = None, matching: SystemPrompt | None = None) -> SystemPrompt:
    """The prompt that a variant stands for; equal resolution means equal value.

    Args:
        variant: A name of `VARIANTS`, or a literal text.
        task: The recipe's or eval's own system prompt; None where it has none.
        matching: The resolved prompt of the stage that `matching` refers to.

    Raises:
        InputError: `matching` has no stage to match, or the text looks like a misspelt name.

    Source: METHODS 1, "Matching prompts" (C).
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
