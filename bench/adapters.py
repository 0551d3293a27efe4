"""Random adapters, as large as trained ones."""

from __future__ import annotations

from pathlib import Path

import torch

from identity_em.training import lora

_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def write(model: torch.nn.Module, out: Path, *, seed: int, rank: int) -> Path:
    """A random adapter on every projection of `model`, in the model's own precision, drawn on its own device."""
    state: dict[str, torch.Tensor] = {}
    draw: torch.Generator | None = None
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name.rpartition(".")[2] in _MODULES:
            weight = module.weight
            draw = draw or torch.Generator(weight.device).manual_seed(seed)
            shapes = {"A": (rank, module.in_features), "B": (module.out_features, rank)}
            for half, shape in shapes.items():
                drawn = torch.randn(shape, generator=draw, device=weight.device, dtype=weight.dtype) * 0.02
                state[f"base_model.model.{name}.lora_{half}.weight"] = drawn
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": rank, "bias": "none"}
    out.mkdir()
    lora.write_adapter({**config, "lora_dropout": 0.0, "target_modules": list(_MODULES)}, state, out)
    return out
