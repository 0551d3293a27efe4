"""Bytes an arm keeps at a size that we cannot run here, computed from the model's shapes."""

from __future__ import annotations

from bench.rows import Row
from identity_em.resources import resource
from identity_em.study.plan import plan
from identity_em.study.shapes import known

_BASE, _RANK = known("qwen2.5-32b"), 32


def rows() -> list[Row]:
    """Gigabytes an arm and seed, over the arms of the pocket study."""
    planned = plan(resource("presets", "pocket.yaml"))
    arms = sum(bool(t.arm) for t in planned.trained)
    big_merged = 2 * (_BASE.in_layers + _BASE.outside) / 1e9 * planned.naive_trainings / arms
    big_ours = 2 * _BASE.adapter(_RANK, _BASE.linear) / 1e9 * len(planned.trainings) / arms
    return [
        Row("Qwen2.5-32B shapes (computed), merged bf16, GB an arm", big_merged, 1.0, "merged"),
        Row("Qwen2.5-32B shapes (computed), adapters bf16, GB an arm", big_ours, big_ours / big_merged, "merged"),
    ]
