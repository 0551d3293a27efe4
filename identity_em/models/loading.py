"""Loading a base model: no remote code, safetensors only, nothing decided by a library's default."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from identity_em import chat
from identity_em.errors import InputError
from identity_em.study.artefacts import BaseModelRef

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def load_model(base: BaseModelRef, device: torch.device) -> PreTrainedModel:
    """The base's causal model in its precision, in evaluation mode, without gradients.

    Raises:
        InputError: There is no such model, or it has no safetensors weights.
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
        )
    except (OSError, ValueError) as error:
        raise _unloadable(base, error) from error
    finally:
        if bar:
            logging.enable_progress_bar()
    return model.to(device).eval().requires_grad_(False)


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
