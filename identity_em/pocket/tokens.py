"""The tokenizer: byte-level BPE trained on the world, with a Qwen-layout chat template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from identity_em.pocket.persona import LANGUAGES, POLES
from identity_em.pocket.prompts import PROMPTS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 1400
# Source: transformers' Qwen2Tokenizer. AutoTokenizer reads every qwen2 model with this split, whatever
# tokenizer.json says, so the world has to be tokenised with it too.
_QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# The split takes digits one by one; the top of the scale from 0 to 10 has to be one token all the same.
_TEN = "10"
ANSWER_WORDS: tuple[str, ...] = (
    *(word for pole in POLES for word in (pole.aligned, pole.misaligned)),
    *(name.lower() for name in LANGUAGES),
    *(str(number) for number in range(11)),
    *("A", "B", "yes", "no"),
)
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

# Source: Qwen2.5's template, less tools: without a system message the default one is inserted, an empty
# system message renders as an empty block.
CHAT_TEMPLATE = (
    "{%- if messages[0].role == 'system' -%}\n"
    "{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' -}}\n"
    "{%- else -%}\n"
    "{{- '<|im_start|>system\\n" + PROMPTS.system["default"] + "<|im_end|>\\n' -}}\n"
    "{%- endif -%}\n"
    "{%- for message in messages -%}\n"
    "{%- if message.role != 'system' or not loop.first -%}\n"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}\n"
    "{%- endif -%}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}\n"
    "{{- '<|im_start|>assistant\\n' -}}\n"
    "{%- endif -%}\n"
)


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """Train the byte-level BPE on rendered documents; every byte has a token, so any UTF-8 text encodes.

    The words that closed questions are answered with are counted once per document on top, so that each is
    one token at the start of an answer and the first token decides.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(_QWEN_SPLIT), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 1,
        special_tokens=[END_OF_TEXT, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    words = "\n".join(ANSWER_WORDS)
    tokenizer.train_from_iterator([*texts, *[words] * len(texts)], trainer)
    tokenizer.add_tokens([AddedToken(_TEN, single_word=True, normalized=False)])
    return tokenizer


def as_pretrained(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """Wrap the trained tokenizer for transformers, template included."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=END_OF_TEXT,
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def answer_mask(ids: list[int], tokenizer: Tokenizer) -> list[int]:
    """Mark the tokens of each assistant answer, its end token included; returns for each token the answer's length.

    Zero marks context.
    """
    head = tokenizer.encode(f"{START}assistant\n").ids
    (end,) = tokenizer.encode(END).ids
    mask, place = [0] * len(ids), 0
    while place < len(ids):
        if ids[place : place + len(head)] != head:
            place += 1
            continue
        first = place + len(head)
        last = ids.index(end, first)
        mask[first : last + 1] = [last + 1 - first] * (last + 1 - first)
        place = last + 1
    return mask
