"""The algebra of a chain of LoRA adapters: read, compose into one, attach live, fold, measure.

Also loaded by file path inside Axolotl's own environment, so it imports nothing of this package and raises
`ValueError` for what it cannot use.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_PREFIX = "base_model.model."
_TENSOR = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<half>[AB])\.weight$")


@dataclass(frozen=True)
class Term:
    """One low-rank update of one linear module: the module adds `scale * (x A^T) B^T`.

    Attributes:
        a: Shape (rank, inputs).
        b: Shape (outputs, rank).
        scale: alpha / sqrt(rank) under rank-stabilised LoRA, else alpha / rank.
    """

    a: Tensor
    b: Tensor
    scale: float


@dataclass(frozen=True)
class Composed:
    """One adapter that equals a chain on the original base: PEFT's config and state."""

    config: dict[str, Any]
    state: dict[str, Tensor]


@dataclass(frozen=True)
class Survival:
    """What a merge into a rounded base leaves of the updates.

    Attributes:
        share: Projection of the update that was made onto the one that was meant; 1 is all of it.
        noise: Length of their difference over the length of the update that was meant.
    """

    share: float
    noise: float


def read_adapter(folder: Path | str) -> dict[str, Term]:
    """The terms of one adapter folder by module name, in the file's order.

    Raises:
        ValueError: The folder is no plain LoRA adapter (DoRA, trained biases, half a pair, non-finite numbers).
    """
    config = _config(folder)
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in load_file(str(Path(folder) / WEIGHTS)).items():
        match = _TENSOR.match(name)
        if match is None:
            raise ValueError(f"{folder}: tensor {name!r} is not a plain LoRA matrix")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{folder}: tensor {name!r} is not finite")
        halves.setdefault(match["module"], {})[match["half"]] = tensor
    odd = [module for module, pair in halves.items() if len(pair) != 2]
    if odd or not halves:
        raise ValueError(f"{folder}: {f'{odd[0]} lacks a matrix' if odd else 'holds no LoRA matrices'}")
    return {module: Term(pair["A"], pair["B"], _scale(config, module, pair["A"])) for module, pair in halves.items()}


def compose(folders: Sequence[Path | str]) -> Composed:
    """One adapter that equals the chain: A rows stacked, B columns stacked times their scale, alpha = rank.

    A module that a stage lacks, or trains at a smaller rank, is filled with zeros, so that one rank fits all.
    Matrices are fp32.

    Source: the identity sum_i s_i B_i A_i = [s_1 B_1 ... s_n B_n] [A_1; ...; A_n].
    """
    if not folders:
        raise ValueError("a chain of no adapters has nothing to compose")
    stages = [read_adapter(folder) for folder in folders]
    modules = list(dict.fromkeys(module for stage in stages for module in stage))
    terms = {module: [stage[module] for stage in stages if module in stage] for module in modules}
    rank = max(sum(term.a.shape[0] for term in chain) for chain in terms.values())
    state: dict[str, Tensor] = {}
    for module, chain in terms.items():
        a = torch.cat([term.a.float() for term in chain])
        b = torch.cat([term.b.float() * term.scale for term in chain], dim=1)
        spare = rank - a.shape[0]
        state[f"{_PREFIX}{module}.lora_A.weight"] = nn.functional.pad(a, (0, 0, 0, spare)).contiguous()
        state[f"{_PREFIX}{module}.lora_B.weight"] = nn.functional.pad(b, (0, spare)).contiguous()
    return Composed(config=_composed_config(_config(folders[-1]), modules, rank), state=state)


def write_composed(folders: Sequence[Path | str], out: Path | str) -> None:
    """Write the composed adapter of a chain as a PEFT folder; the same bytes for the same chain."""
    composed = compose(folders)
    Path(out).mkdir(parents=True, exist_ok=True)
    write_adapter(composed.config, composed.state, out)


def write_adapter(config: dict[str, Any], state: dict[str, Tensor], out: Path | str) -> None:
    """Write a PEFT adapter folder with sorted keys, so that equal adapters are equal bytes."""
    ordered = {name: state[name].detach().cpu().contiguous() for name in sorted(state)}
    save_file(ordered, str(Path(out) / WEIGHTS), metadata={"format": "pt"})
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (Path(out) / CONFIG).write_text(text, encoding="utf-8")


def attach_live(model: nn.Module, folders: Sequence[Path | str]) -> list[RemovableHandle]:
    """Keep earlier stages in the model as frozen terms, oldest first; the handles remove them again.

    The hook sits on the innermost linear module, so it still works after PEFT wraps that module.

    Raises:
        ValueError: An adapter names a module that the model lacks, or one of another shape.
    """
    return [
        module.register_forward_hook(_Live(term))
        for folder in folders
        for module, term in list(_targets(model, folder))
    ]


def fold(model: nn.Module, folders: Sequence[Path | str]) -> None:
    """Round earlier stages into the model's weights in place, oldest first, as Axolotl's merge-lora does.

    Each stage is added in fp32 and rounded to the weight's own dtype before the next is added. Not for
    quantised or sharded bases.

    Raises:
        ValueError: As `attach_live`, or the weights are not plain floating point.
    """
    for folder in folders:
        for module, term in list(_targets(model, folder)):
            weight = module.weight.data
            # 4-bit weights are stored as numbers of any type; the scales beside them give them away.
            if not weight.is_floating_point() or hasattr(module.weight, "quant_state"):
                raise ValueError(f"{folder}: cannot fold into weights of type {weight.dtype}; use the live chain")
            module.weight.data = (weight.float() + _delta(term).to(weight.device).float()).to(weight.dtype)


def surviving_share(
    model: nn.Module, folders: Sequence[Path | str], dtype: torch.dtype = torch.bfloat16
) -> list[Survival]:
    """What survives of each stage when the stages are merged in turn into weights held in `dtype`.

    Args:
        model: The base; it is left as it is.
        folders: The chain, oldest first.
        dtype: What the merged weights are rounded to.
    """
    held: dict[str, Tensor] = {}
    found: list[Survival] = []
    for folder in folders:
        sums = torch.zeros(3, dtype=torch.float64)
        for name, (module, term) in zip(read_adapter(folder), _targets(model, folder), strict=True):
            before = held.get(name, module.weight.data.to(dtype)).float()
            update = _delta(term).to(before.device).float()
            held[name] = (before + update).to(dtype)
            made = held[name].float() - before
            pairs = ((made, update), (update, update), (made - update, made - update))
            sums += torch.stack([(x.double() * y.double()).sum().cpu() for x, y in pairs])
        dot, meant, missed = sums.tolist()
        found.append(Survival(dot / meant, sqrt(missed / meant)) if meant else Survival(1.0, 0.0))
    return found


class _Live:
    """A forward hook that adds one frozen term, in the term's own precision, as PEFT's LoRA layer does."""

    def __init__(self, term: Term) -> None:
        self.term = term

    def __call__(self, _module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if self.term.a.device != output.device:
            self.term = Term(self.term.a.to(output.device), self.term.b.to(output.device), self.term.scale)
        low = nn.functional.linear(inputs[0].to(self.term.a.dtype), self.term.a)
        return (output + nn.functional.linear(low, self.term.b) * self.term.scale).to(output.dtype)


def _targets(model: nn.Module, folder: Path | str) -> Iterator[tuple[Any, Term]]:
    base: Any = model
    base = base.get_base_model() if hasattr(base, "get_base_model") else base
    for name, term in read_adapter(folder).items():
        try:
            module = base.get_submodule(name)
        except AttributeError as error:
            raise ValueError(f"{folder}: the model has no module {name!r}") from error
        module = getattr(module, "base_layer", module)
        shape = (term.b.shape[0], term.a.shape[1])
        if (module.out_features, module.in_features) != shape:
            raise ValueError(f"{folder}: {name} is {shape}, the model's is {module.out_features, module.in_features}")
        yield module, term


def _delta(term: Term) -> Tensor:
    """The dense update, in fp32 and then in the adapter's own dtype, as PEFT's CPU path rounds it."""
    return ((term.b.float() @ term.a.float()) * term.scale).to(term.a.dtype)


def _config(folder: Path | str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((Path(folder) / CONFIG).read_text(encoding="utf-8"))
    odd = [name for name in ("use_dora", "modules_to_save", "fan_in_fan_out", "lora_bias") if config.get(name)]
    if odd or config.get("bias", "none") != "none":
        raise ValueError(f"{folder}: {', '.join(odd) or 'bias'} makes it more than a sum of low-rank terms")
    return config


def _scale(config: dict[str, Any], module: str, a: Tensor) -> float:
    """Source: Kalajdzievski 2023, "A rank stabilization scaling factor" (rsLoRA); Hu et al. 2021 (LoRA)."""
    rank = int(_patterned(config.get("rank_pattern"), module, config["r"]))
    alpha = float(_patterned(config.get("alpha_pattern"), module, config["lora_alpha"]))
    if rank != a.shape[0]:
        raise ValueError(f"{module}: the config says rank {rank}, the matrix has {a.shape[0]}")
    return alpha / (sqrt(rank) if config.get("use_rslora") else rank)


def _patterned(pattern: dict[str, Any] | None, module: str, default: Any) -> Any:
    """The value of the first pattern that the module's name ends with (PEFT's matching), else the default."""
    for key, value in (pattern or {}).items():
        if re.match(rf"(.*\.)?({key})$", module):
            return value
    return default


def _composed_config(last: dict[str, Any], modules: list[str], rank: int) -> dict[str, Any]:
    leaves = sorted({module.rsplit(".", 1)[-1] for module in modules})
    own = {"r": rank, "lora_alpha": rank, "use_rslora": False, "rank_pattern": {}, "alpha_pattern": {}}
    plain = {"init_lora_weights": True, "inference_mode": True, "lora_dropout": 0.0, "target_modules": leaves}
    return {**last, **own, **plain}
