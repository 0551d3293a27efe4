"""Bytes an arm keeps at a size that we cannot run here, computed from the model's shapes."""

from __future__ import annotations

from bench.rows import Row
from identity_em.resources import resource
from identity_em.study.plan import plan

# Qwen2.5-32B: 64 layers, hidden 5,120, 40 heads and 8 key-value heads of 128, ffn 27,648, vocabulary 152,064, untied.
_LAYERS, _HIDDEN, _KV, _FFN, _VOCAB, _RANK = 64, 5120, 1024, 27648, 152064, 32


def rows() -> list[Row]:
    """Gigabytes an arm and seed, over the arms of the pocket study."""
    planned = plan(resource("presets", "pocket.yaml"))
    arms = sum(bool(t.arm) for t in planned.trained)
    big_merged = _merged_32b() / 1e9 * planned.naive_trainings / arms
    big_ours = _adapter_32b() / 1e9 * len(planned.trainings) / arms
    return [
        Row("Qwen2.5-32B shapes (computed), merged bf16, GB an arm", big_merged, 1.0, "merged"),
        Row("Qwen2.5-32B shapes (computed), adapters bf16, GB an arm", big_ours, big_ours / big_merged, "merged"),
    ]


def _lora(layers: int, hidden: int, kv: int, ffn: int, rank: int) -> int:
    """Parameters of a LoRA adapter on q, k, v, o, gate, up and down."""
    sides = 2 * (hidden + hidden) + 2 * (hidden + kv) + 3 * (hidden + ffn)
    return layers * rank * sides


def _adapter_32b() -> int:
    return 2 * _lora(_LAYERS, _HIDDEN, _KV, _FFN, _RANK)


def _merged_32b() -> int:
    block = 2 * _HIDDEN * _HIDDEN + 2 * _HIDDEN * _KV + 3 * _HIDDEN * _FFN
    return 2 * (_LAYERS * block + 2 * _VOCAB * _HIDDEN)
