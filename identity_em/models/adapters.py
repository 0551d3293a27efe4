"""Many adapters on one model in memory; the least recently used goes when there are too many."""

from __future__ import annotations

import hashlib
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from identity_em.errors import DataError
from identity_em.training import lora

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


class Adapters:
    """One model and the composed adapters that were put into it.

    Args:
        keep: Most adapters held at once.
    """

    def __init__(self, model: PreTrainedModel, *, keep: int) -> None:
        self.model = model
        self._keep = keep
        self._peft: PeftModel | None = None
        self._held: OrderedDict[str, None] = OrderedDict()

    @property
    def held(self) -> tuple[str, ...]:
        """The names of the adapters in memory, least recently used first."""
        return tuple(self._held)

    def use(self, chain: Sequence[Path]) -> None:
        """Make the model answer as the chain of adapter folders, oldest first; as itself for an empty chain.

        Raises:
            DataError: A folder is no LoRA adapter of this model.
        """
        if not chain:
            if self._peft is not None:
                self._peft.base_model.disable_adapter_layers()
            return
        name = _name(chain)
        if name not in self._held:
            self._evict()
            self._load(name, chain)
        self._held.move_to_end(name)
        assert self._peft is not None
        self._peft.base_model.enable_adapter_layers()
        self._peft.set_adapter(name)
        self._peft.requires_grad_(False)

    def _load(self, name: str, chain: Sequence[Path]) -> None:
        try:
            self._put(name, lora.compose(chain))
        except (ValueError, OSError, RuntimeError, TypeError, KeyError) as error:
            self._drop(name)
            raise unfit(chain, error) from error
        self._held[name] = None

    def _put(self, name: str, composed: lora.Composed) -> None:
        from peft import LoraConfig, PeftModel, set_peft_model_state_dict

        config = LoraConfig(**{**composed.config, "inference_mode": True})
        # Weights start on `meta`: nothing is drawn from a random generator and nothing is made twice.
        if self._peft is None:
            with warnings.catch_warnings():
                # PEFT 0.21 asks transformers for a name that it has since changed.
                warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
                self._peft = PeftModel(self.model, config, adapter_name=name, low_cpu_mem_usage=True)
        else:
            self._peft.add_adapter(name, config, low_cpu_mem_usage=True)
        held = precision(self.model.device, self.model.dtype)
        state = {key: tensor.to(held) for key, tensor in composed.state.items()}
        result = set_peft_model_state_dict(self._peft, state, adapter_name=name, low_cpu_mem_usage=True)
        for key, tensor in state.items():  # PEFT put them where the layers are, rounded to the base's precision
            matrix = self._peft.get_parameter(f"{key.removesuffix('.weight')}.{name}.weight")
            matrix.data = tensor.to(matrix.device)
        left = [key for key, tensor in self._peft.named_parameters() if tensor.is_meta]
        if result.unexpected_keys or left:
            raise ValueError(f"{(result.unexpected_keys or left)[0]} does not fit")
        self._peft.eval()

    def _evict(self) -> None:
        """Make room for one more, before it is loaded: never are more than `keep` in memory."""
        while len(self._held) >= self._keep:
            name, _ = self._held.popitem(last=False)
            self._drop(name)

    def _drop(self, name: str) -> None:
        if self._peft is not None and name in self._peft.peft_config:
            self._peft.delete_adapter(name)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def precision(device: torch.device, base: torch.dtype) -> torch.dtype:
    """What an adapter's matrices are held in beside a base of the given precision.

    On CUDA the base's own: training's automatic mixed precision multiplies in it there, and fp32 would multiply many
    times slower and copy every activation. On a CPU fp32, as training holds and multiplies them there.
    """
    return base if device.type == "cuda" else torch.float32


def _name(chain: Sequence[Path]) -> str:
    """A name for the chain: folders of the store are named by their content."""
    text = "\n".join(str(Path(folder).resolve()) for folder in chain)
    return "chain_" + hashlib.sha256(text.encode()).hexdigest()[:16]


def unfit(chain: Sequence[Path], error: Exception) -> DataError:
    """What is raised for adapters that do not fit."""
    return DataError(
        found=f"an adapter that this base cannot carry ({str(error).splitlines()[0][:160]})",
        wanted="LoRA adapters trained on this base",
        do="check the base and the chain",
        file=chain[-1],
    )
