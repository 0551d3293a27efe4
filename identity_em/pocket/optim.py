"""Muon for matrices beside AdamW for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

# Source: Keller Jordan, Muon (2024): coefficients of the quintic Newton-Schulz iteration.
_QUINTIC = (3.4445, -4.7750, 2.0315)
MUON_RATE, ADAM_RATE = 0.02, 4e-3


def orthogonalised(matrix: torch.Tensor, *, steps: int = 5) -> torch.Tensor:
    """The nearest semi-orthogonal matrix, approximately; shape (rows, columns) is kept."""
    a, b, c = _QUINTIC
    wide = matrix.size(0) <= matrix.size(1)
    x = matrix if wide else matrix.T
    x = x / (torch.linalg.vector_norm(x) + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: torch.Tensor = x if wide else x.T
    return result


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose update is orthogonalised, for weight matrices of hidden layers."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float = MUON_RATE, momentum: float = 0.95) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                buffer = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = orthogonalised(parameter.grad.lerp(buffer, group["momentum"]))
                scale = max(1.0, parameter.size(0) / parameter.size(1)) ** 0.5
                parameter.add_(update, alpha=-group["lr"] * scale)


def optimisers(model: nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for the two-dimensional weights outside the embedding, AdamW for everything else."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    taken = {id(parameter) for parameter in matrices}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    return [Muon(matrices), torch.optim.AdamW(rest, lr=ADAM_RATE, betas=(0.9, 0.95), weight_decay=0.0)]
