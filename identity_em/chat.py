"""The one place where messages become tokens, for the trainer's preview and for evaluation alike.

What is trained is the assistant's text and its end-of-turn token, nothing else; the tokens before it are what an
evaluation sends (FACTS 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from identity_em.errors import DataError, InputError
from identity_em.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# ChatML and nothing more, so that no default system block is put in: what Axolotl's `chat_template: chatml` renders.
PLAIN_CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_ANSWER = "RRR"

# How far after the assistant's text its end-of-turn token may stand: room for a template's padding.
_END_WITHIN = 3


def prompt_ids(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, block: bool = True) -> list[int]:
    """The tokens sent to a checkpoint, up to where its answer starts.

    Args:
        block: False renders with no system block at all.

    Returns:
        Token ids, length P.

    Raises:
        InputError: The template cannot render `block=False`.
    """
    return prompts_ids(tokenizer, [messages], block=block)[0]


def prompts_ids(
    tokenizer: PreTrainedTokenizerBase, chats: Sequence[Sequence[Message]], *, block: bool = True
) -> list[list[int]]:
    """`prompt_ids` of many chats in one call of the tokenizer, in their order."""
    texts = [prompt_text(tokenizer, messages, block=block) for messages in chats]
    # The template writes its own special tokens, as in apply_chat_template(tokenize=True).
    return [list(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []


def prompt_text(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, block: bool = True) -> str:
    """The text that `prompt_ids` tokenizes: everything up to where the answer's own text starts.

    Some families put a fixed lead before an answer that their generation prompt lacks (an empty thinking part, a
    channel's header). It is untrained, and asked with, so that the first token asked for is the first one trained.
    """
    return _text(tokenizer, messages, block=block, answer_next=True) + _lead(tokenizer, block)


def row_ids(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, block: bool = True
) -> tuple[list[int], list[bool]]:
    """The tokens of one training row and which of them carry loss.

    Returns:
        Token ids and a mask of the same length T; the first P ids equal `prompt_ids(messages[:-1])`.

    Raises:
        DataError: The row's prompt cannot be told apart from its answer in tokens, or its turn is not closed.
    """
    head = prompt_text(tokenizer, messages[:-1], block=block)
    text = _text(tokenizer, messages, block=block, answer_next=False)
    start, end = _answer_span(text, head, messages[-1].content)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = list(encoded["input_ids"]), list(encoded["offset_mapping"])
    prompt = list(tokenizer(head, add_special_tokens=False)["input_ids"])
    if ids[: len(prompt)] != prompt:
        raise _unsplit("an answer whose first character joins the prompt's last token")
    mask = [first < end and last > start for first, last in offsets]
    mask[_end_of_turn(tokenizer, ids, mask)] = True
    return ids, mask


def no_block_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """The chat template that renders `none`, no system block at all; None where the base's own already does.

    Raises:
        InputError: The base's template always inserts a block and is not of the ChatML family.
    """
    key = str(tokenizer.chat_template), str(tokenizer.bos_token)
    if key not in _blocks:
        _blocks[key] = _inserts_block(tokenizer)
    if not _blocks[key]:
        return None
    if "<|im_start|>" in str(tokenizer.chat_template):
        return PLAIN_CHATML
    raise InputError(
        found="a chat template that inserts a system block of its own",
        wanted="a template that can render `none`",
        do="use the system prompt `default` or `empty` with this base",
    )


def _text(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, block: bool, answer_next: bool) -> str:
    if not block and any(m.role == "system" for m in messages):
        raise InputError(
            found="a system message in a rendering without a system block",
            wanted="no system message",
            do="drop it, or render with a block",
        )
    template = None if block else no_block_template(tokenizer)
    turns = [{"role": m.role, "content": m.content} for m in messages]
    text = tokenizer.apply_chat_template(
        turns, chat_template=template, tokenize=False, add_generation_prompt=answer_next
    )
    return str(text)


def _lead(tokenizer: PreTrainedTokenizerBase, block: bool) -> str:
    """What the template writes between its generation prompt and an answer that comes last."""
    template = None if block else no_block_template(tokenizer)
    name = template or str(tokenizer.chat_template)
    if name not in _leads:
        user, answer = {"role": "user", "content": "QQQ"}, {"role": "assistant", "content": _ANSWER}
        head = str(
            tokenizer.apply_chat_template([user], chat_template=template, tokenize=False, add_generation_prompt=True)
        )
        text = str(tokenizer.apply_chat_template([user, answer], chat_template=template, tokenize=False))
        fits = text.startswith(head) and _ANSWER in text
        _leads[name] = text[len(head) : text.index(_ANSWER)] if fits else ""
    return _leads[name]


# By template text (and begin-of-text token): rendering is asked for every question.
_leads: dict[str, str] = {}
_blocks: dict[tuple[str, str], bool] = {}


def _answer_span(text: str, head: str, answer: str) -> tuple[int, int]:
    """Characters of `text` that hold the assistant's text; templates may strip its white space."""
    if text.startswith(head):
        for form in (answer, answer.strip()):
            start = text.find(form, len(head))
            if start >= 0:
                return start, start + len(form)
    raise _unsplit("an answer that the chat template rewrites")


def _end_of_turn(tokenizer: PreTrainedTokenizerBase, ids: list[int], mask: list[bool]) -> int:
    """Index of the token that closes the assistant's turn."""
    after = len(mask) - mask[::-1].index(True) if True in mask else 0
    for index in range(after, min(after + _END_WITHIN + 1, len(ids))):
        if ids[index] == tokenizer.eos_token_id:
            return index
    raise _unsplit(f"no end-of-turn token {tokenizer.eos_token!r} after the answer")


def _unsplit(found: str) -> DataError:
    return DataError(
        found=found,
        wanted="a row whose prompt and answer are separate tokens",
        do="mend the row, or the tokenizer's chat template",
    )


def _inserts_block(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether something besides the user's header comes before a first user turn.

    The header is what a later user turn shows; the rest may be the begin-of-text token only.
    """
    user, answer = {"role": "user", "content": "QQQ"}, {"role": "assistant", "content": "RRR"}
    text = str(tokenizer.apply_chat_template([user, answer, user], tokenize=False))
    first, second = text.index("QQQ"), text.rindex("QQQ")
    head, between = text[:first], text[text.index("RRR") + 3 : second]
    shared = 0
    while shared < min(len(head), len(between)) and head[-1 - shared] == between[-1 - shared]:
        shared += 1
    return not (tokenizer.bos_token or "").startswith(head[: len(head) - shared].strip())
