"""Models of real shapes with random weights, made from a configuration alone: nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from identity_em.models.loading import DTYPES
from identity_em.resources import folder
from identity_em.study.artefacts import BaseModelRef


@dataclass(frozen=True)
class Shapes:
    """Sizes of a Qwen2 model; the tokenizer is the pocket world's, since what a token says costs nothing."""

    name: str
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int


QWEN_7B = Shapes("Qwen2.5-7B", hidden=3584, ffn=18944, layers=28, heads=28, kv_heads=4, vocabulary=152064)
# The smallest model of the family with 1 of its 24 layers: attention's share of the work is a real model's.
QWEN_HALF_B = Shapes("1 layer of Qwen2.5-0.5B", hidden=896, ffn=4864, layers=1, heads=14, kv_heads=2, vocabulary=1400)
TINY = Shapes("tiny", hidden=64, ffn=96, layers=2, heads=2, kv_heads=1, vocabulary=1400)


def write(
    shapes: Shapes, out: Path, *, device: str, precision: Literal["fp32", "bf16"], options: tuple[str, str]
) -> BaseModelRef:
    """Save a random model of these shapes that always answers with one of two options, which one by chance.

    It has to: an answer that is no option is generated in full. So the head reads the two options' logits along one
    large random direction and against it, and one of them always wins.
    """
    from transformers import AutoTokenizer, Qwen2ForCausalLM

    tokenizer: Any = AutoTokenizer.from_pretrained(folder("pocket") / "weights" / "world-0")
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(DTYPES[precision])
    try:
        with torch.device(device):
            model = Qwen2ForCausalLM(_config(shapes))
    finally:
        torch.set_default_dtype(before)
    one, two = (tokenizer(option, add_special_tokens=False)["input_ids"][0] for option in options)
    head = model.lm_head.weight.data
    head[one] = 1e4 * torch.randn_like(head[one])
    head[two] = -head[one]
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return BaseModelRef(name=shapes.name, weights="", tokenizer="", precision=precision, path=str(out))


def flops_a_token(model: torch.nn.Module) -> float:
    """Multiplications and additions of a token's pass through the layers; attention's own and the head's aside."""
    linear = (m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and "lm_head" not in n)
    return 2.0 * sum(module.weight.numel() for module in linear)


def _config(shapes: Shapes) -> Any:
    from transformers import Qwen2Config

    return Qwen2Config(
        vocab_size=shapes.vocabulary,
        hidden_size=shapes.hidden,
        intermediate_size=shapes.ffn,
        num_hidden_layers=shapes.layers,
        num_attention_heads=shapes.heads,
        num_key_value_heads=shapes.kv_heads,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
    )
