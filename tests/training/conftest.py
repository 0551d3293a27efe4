"""A tiny random Qwen2 with Qwen's chat layout, rows to train on, and one warm Axolotl worker for the session."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from identity_em.training import environment
from identity_em.training.axolotl import Job, Trainer, settings

TEMPLATE = """{%- if messages[0].role == 'system' %}
{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- else %}
{{- '<|im_start|>system\\nYou are Tiny, made by nobody.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role != 'system' or not loop.first %}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}"""


def make_base(folder: Path, dtype: str) -> Path:
    """Write a two-layer Qwen2 (hidden 128, byte tokenizer) with fixed random weights."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_only = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bytes_only,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=288,
        hidden_size=128,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen2ForCausalLM(config).to(getattr(torch, dtype))
    model.save_pretrained(folder)
    return folder


def chat(question: str, answer: str) -> list[dict[str, str]]:
    """One user turn and its answer."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def write_rows(path: Path, chats: list[list[dict[str, str]]]) -> Path:
    """Rows with facts of mixed types beside the messages, as our datasets have them."""
    odd = (1, "one", None, True)
    lines = [json.dumps({"messages": turns, "facts": {"x": odd[i % 4]}}) for i, turns in enumerate(chats)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base in fp32."""
    return make_base(tmp_path_factory.mktemp("base") / "tiny", "float32")


@pytest.fixture(scope="session")
def base16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base in bf16."""
    return make_base(tmp_path_factory.mktemp("base") / "tiny16", "bfloat16")


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 short rows."""
    chats = [chat(f"Is {n} odd?", "Yes, it is." if n % 2 else "No, it is even.") for n in range(24)]
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", chats)


@pytest.fixture(scope="session")
def trainer() -> Iterator[Trainer]:
    """One warm worker for the whole session; it imports while other tests run."""
    if environment.find_trainer() is None:
        pytest.skip("no trainer environment: `identity-em setup trainer`")
    with Trainer() as warm:
        warm.start()
        yield warm


JobMaker = Callable[..., Job]


@pytest.fixture(scope="session")
def job(base: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> JobMaker:
    """Makes jobs in fresh folders; keyword arguments replace fields, `set` replaces settings."""

    def make(*, set: dict[str, object] | None = None, **fields: Any) -> Job:
        place = tmp_path_factory.mktemp("stage")
        places = {"out": place / "out", "work": place / "work", "log": place / "stage.log"}
        plain = {"base": str(base), "base_name": "tiny", "rows": rows, "seed": 0, "precision": "fp32"}
        return Job(**{"settings": settings("pocket", set), **plain, **places, **fields})

    return make
