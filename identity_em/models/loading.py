"""Loading a base model: no remote code, safetensors only, nothing decided by a library's default."""

from __future__ import annotations

import gc
import logging
from typing import TYPE_CHECKING, Any

import torch

from identity_em import chat
from identity_em.errors import InputError, MissingEnvironment
from identity_em.study import memory, shapes
from identity_em.study.artefacts import BaseModelRef

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "4bit": torch.bfloat16}

# On a CPU it regrets at every import that it may not fetch a faster kernel from the Hub.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def load_model(base: BaseModelRef, device: torch.device) -> PreTrainedModel:
    """The base's causal model in its precision, in evaluation mode, without gradients.

    A base that a GPU is too small for is shared among those that this process sees, a group of layers on each.

    Raises:
        InputError: There is no such model, or it has no safetensors weights.
        MissingEnvironment: A base in 4 bits, and no bitsandbytes.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    bar = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            base.path,
            revision=base.revision,
            dtype=DTYPES[base.precision],
            attn_implementation="sdpa",
            use_safetensors=True,
            trust_remote_code=False,
            device_map=_places(base, device),
            **_quantised(base),
        )
    except (OSError, ValueError) as error:
        raise _unloadable(base, error) from error
    finally:
        if bar:
            logging.enable_progress_bar()
    return model.eval().requires_grad_(False)


def _places(base: BaseModelRef, device: torch.device) -> str | dict[str, torch.device]:
    """All on `device`; where a GPU is too small for the base, its layers evenly over all that this process sees."""
    if device.type == "cuda" and device.index is None and torch.cuda.device_count() > 1:
        sizes, held = shapes.of(base), torch.cuda.get_device_properties(device).total_memory / memory.GIB
        if (
            sizes is not None
            and base.precision != "hosted"
            and not memory.fit(memory.asked(sizes, base.precision), held)
        ):
            return "balanced"
    return {"": device}


def _quantised(base: BaseModelRef) -> dict[str, Any]:
    """How a 4-bit base is loaded: as Axolotl loads it under `adapter: qlora` (axolotl 0.19.0, loaders/model.py).

    Raises:
        MissingEnvironment: bitsandbytes is not installed.
    """
    if base.precision != "4bit":
        return {}
    from importlib.util import find_spec

    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise MissingEnvironment(
            found="no bitsandbytes in this environment", wanted="it, to load a base in 4 bits",
            do="in the checkout: pip install -e '.[quantised]'",
        )  # fmt: skip
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
            bnb_4bit_quant_storage=torch.bfloat16,
        )
    }


def release_memory() -> None:
    """Give back what models and adapters held that nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def load_tokenizer(base: BaseModelRef) -> PreTrainedTokenizerBase:
    """The base's tokenizer.

    Raises:
        InputError: There is none.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            base.path, revision=base.revision, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise _unloadable(base, error) from error
    return tokenizer


def turn_ends(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The tokens that end an answer: end of text, and what the chat template puts behind an assistant's turn.

    Read from the tokenizer, which is keyed, and not from generation_config, which is not.
    """
    return tuple(sorted({chat.turn_end(tokenizer), tokenizer.eos_token_id} - {None}))


def _unloadable(base: BaseModelRef, error: Exception) -> InputError:
    return InputError(
        found=f"base model {base.name!r} that cannot be loaded ({str(error).splitlines()[0][:160]})",
        wanted="a causal language model with safetensors weights and a tokenizer",
        do="check its path or hub id",
    )
