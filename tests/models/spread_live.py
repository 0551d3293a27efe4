"""Run by test_spread.py: a base whose layers are on two made-up GPUs, asked in every way the resident model knows.

Fake tensors have a device and a shape and no values; an operation on tensors of two devices fails as it would on GPUs.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy
import torch
import torch.utils.backend_registration as registration
from accelerate import dispatch_model
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoConfig, AutoModelForCausalLM

from identity_em.models import resident
from identity_em.records import Message, Question, Sampling
from identity_em.study import bases
from identity_em.training import lora

FIRST, SECOND = "gpu:0", "gpu:1"
DRAWN = Sampling(temperature=1.0, top_p=0.9, repetition_penalty=1.1, max_new_tokens=4, n=2)


class Strict(TorchDispatchMode):
    """Fake tensors let an index lie anywhere; GPUs take one of their own or of the CPU."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.index.Tensor:
            found = {str(index.device) for index in args[1] if index is not None}
            assert found <= {"cpu", str(args[0].device)}, f"indices on {found} into {args[0].device}"
        return func(*args, **(kwargs or {}))


def spread(path: str) -> Any:
    """The base as transformers leaves it under `device_map: balanced`."""
    config = AutoConfig.from_pretrained(path, attn_implementation="sdpa", tie_word_embeddings=False)
    model = AutoModelForCausalLM.from_config(config)
    half = len(model.model.layers) // 2
    places = {"model.embed_tokens": FIRST, "model.rotary_emb": FIRST, "model.norm": SECOND, "lm_head": SECOND}
    places |= {f"model.layers.{n}": SECOND if n >= half else FIRST for n in range(2 * half)}
    for name, device in places.items():
        model.get_submodule(name).to(device)
    return dispatch_model(model, places, skip_keys=model._skip_keys_device_placement).eval()


def ask(base: str, chain: list[Path], out: Path) -> None:
    """Closed and open questions that share beginnings, logits and activations; as the base, live and merged."""
    story = "the keeper of the door wrote to the mayor about the market and the bridge " * 8
    questions = [
        Question(item=str(n), messages=(Message(role="user", content=story + end),), options=("A", "B"))
        for n, end in enumerate(("one", "two of them", "and then three"))
    ]
    model = resident.Resident(bases.named(base, "fp32"), device=FIRST)
    for used, mode in (([], "live"), (chain[:1], "live"), (chain, "live"), (chain, "merge")):
        model.use(used, mode)
        assert len(model.probabilities(questions)) == 3
        model.generate(
            questions, Sampling(temperature=1.0, top_p=0.9, repetition_penalty=1.1, max_new_tokens=4, n=2), 0
        )
        assert model.logits(torch.zeros(2, 9, dtype=torch.long), [3, 8]).shape[:2] == (2, 2)
    model.activations(questions, out)
    adapters = {
        (str(p.device), n.split("layers.")[1][0]) for n, p in model._active.model.named_parameters() if "lora_" in n
    }
    assert adapters == {(FIRST, "0"), (SECOND, "1")}, adapters


def apply(module: torch.nn.Module, change: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
    """`Module._apply`, which exchanges the storage of what it moves."""
    for part in module.modules():
        for name, held in part._parameters.items():
            if held is not None:
                part._parameters[name] = torch.nn.Parameter(change(held.data), requires_grad=held.requires_grad)
        part._buffers.update({name: change(held) for name, held in part._buffers.items() if held is not None})
    return module


def tensor(data: Any, *, dtype: torch.dtype | None = None, device: Any = "cpu") -> torch.Tensor:
    """`torch.tensor`, which would make one past the fake ones."""
    found = numpy.asarray(data)
    return torch.zeros(found.shape, dtype=dtype or KINDS[found.dtype.kind], device=device)


def read_adapter(folder: Path) -> dict[str, lora.Term]:
    """The terms of an adapter as fake tensors."""
    with unset_fake_temporarily():
        terms = READ(folder)
    return {name: lora.Term(term.a.clone(), term.b.clone(), term.scale) for name, term in terms.items()}


READ = lora.read_adapter
KINDS = {"f": torch.float32, "i": torch.long, "b": torch.bool}
# What follows would need values; which they are makes no difference to where they lie.
VALUES = {
    "tolist": lambda self: numpy.zeros(self.shape, int).tolist(),
    "numpy": lambda self: numpy.zeros(self.shape),
    "__bool__": lambda _: False,
}

if __name__ == "__main__":
    registration._setup_privateuseone_for_python_backend("gpu")
    with (
        FakeTensorMode(allow_non_fake_inputs=True), Strict(), patch.multiple(FakeTensor, create=True, **VALUES),
        patch.object(torch, "tensor", tensor), patch.object(torch.nn.Module, "_apply", apply),
        patch.object(lora, "read_adapter", read_adapter),
        patch.object(resident, "load_model", lambda base, _: spread(base.path)),
    ):  # fmt: skip
        ask(sys.argv[1], [Path(word) for word in sys.argv[3:]], Path(sys.argv[2]))
