"""Bytes kept for each arm: adapters of a chain, beside a merged checkpoint for every stage."""

from __future__ import annotations

from bench.rows import Row
from identity_em.resources import folder, resource
from identity_em.study.plan import plan

# Qwen2.5-32B: 64 layers, hidden 5,120, 40 heads and 8 key-value heads of 128, ffn 27,648, vocabulary 152,064, untied.
_LAYERS, _HIDDEN, _KV, _FFN, _VOCAB, _RANK = 64, 5120, 1024, 27648, 152064, 32


def rows() -> list[Row]:
    """Megabytes an arm and seed, over the arms of the pocket study."""
    planned = plan(resource("presets", "pocket.yaml"))
    arms = sum(bool(t.arm) for t in planned.trained)
    merged_stage = (folder("pocket") / "weights" / "world-0" / "model.safetensors").stat().st_size / 1e6
    adapter_stage = _adapter_bytes("pocket") / 1e6
    merged = merged_stage * planned.naive_trainings / arms
    ours = adapter_stage * len(planned.trainings) / arms
    big_merged = _merged_32b() / 1e9 * planned.naive_trainings / arms
    big_ours = _adapter_32b() / 1e9 * len(planned.trainings) / arms
    return [
        Row("pocket, merged checkpoint a stage, MB an arm", merged, 1.0, "merged"),
        Row("pocket, adapters with shared prefixes, MB an arm", ours, ours / merged, "merged"),
        Row("Qwen2.5-32B shapes (computed), merged bf16, GB an arm", big_merged, 1.0, "merged"),
        Row("Qwen2.5-32B shapes (computed), adapters bf16, GB an arm", big_ours, big_ours / big_merged, "merged"),
    ]


def _adapter_bytes(config: str) -> int:
    """An fp32 adapter on all seven projections, from the model's own shapes."""
    import json

    shape = json.loads((folder("pocket") / "weights" / "world-0" / "config.json").read_text())
    hidden, ffn = shape["hidden_size"], shape["intermediate_size"]
    kv = hidden * shape["num_key_value_heads"] // shape["num_attention_heads"]
    from identity_em.training.settings import settings

    return 4 * _lora(shape["num_hidden_layers"], hidden, kv, ffn, settings(config)["lora_r"])


def _lora(layers: int, hidden: int, kv: int, ffn: int, rank: int) -> int:
    """Parameters of a LoRA adapter on q, k, v, o, gate, up and down."""
    sides = 2 * (hidden + hidden) + 2 * (hidden + kv) + 3 * (hidden + ffn)
    return layers * rank * sides


def _adapter_32b() -> int:
    return 2 * _lora(_LAYERS, _HIDDEN, _KV, _FFN, _RANK)


def _merged_32b() -> int:
    block = 2 * _HIDDEN * _HIDDEN + 2 * _HIDDEN * _KV + 3 * _HIDDEN * _FFN
    return 2 * (_LAYERS * block + 2 * _VOCAB * _HIDDEN)
