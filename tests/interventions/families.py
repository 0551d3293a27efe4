"""Tokenizers that render like six families of models: the pocket tokenizer with their special tokens and templates."""

from pathlib import Path
from typing import Any, NamedTuple

TEMPLATES = Path(__file__).with_name("templates")


class Family(NamedTuple):
    """A family's special tokens, and how it treats system prompts.

    Attributes:
        end: What closes the assistant's turn.
        eos: What ends a text, where that is another token.
        default: Whether a block is rendered where no system message is sent.
        can_none: Whether `none` can be rendered.
    """

    special: tuple[str, ...]
    bos: str | None
    end: str
    default: bool
    can_none: bool
    eos: str | None = None


FAMILIES = {
    "qwen2.5": Family(("<|im_start|>", "<|im_end|>"), None, "<|im_end|>", True, True),
    "qwen3": Family(("<|im_start|>", "<|im_end|>"), None, "<|im_end|>", False, True),
    "llama3.1": Family(
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), "<|begin_of_text|>",
        "<|eot_id|>", True, False,
    ),
    "seed-oss": Family(("<seed:bos>", "<seed:eos>"), "<seed:bos>", "<seed:eos>", False, True),
    "gemma": Family(
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"), "<bos>", "<end_of_turn>", False, True, "<eos>"
    ),
    "gpt-oss": Family(
        ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>"), None, "<|return|>", True, False
    ),
}  # fmt: skip


def tokenizer(pocket: Path, name: str) -> Any:
    """The pocket tokenizer in a family's clothes."""
    from transformers import AutoTokenizer

    family = FAMILIES[name]
    found = AutoTokenizer.from_pretrained(pocket)
    found.add_special_tokens({"additional_special_tokens": list(family.special)})
    found.eos_token = family.eos or family.end
    if family.bos:
        found.bos_token = family.bos
    found.chat_template = (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8")
    return found
