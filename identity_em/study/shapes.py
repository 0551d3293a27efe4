"""The sizes of a decoder's matrices: from its config.json, or of well-known models by name. No torch, no network."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from identity_em.errors import InputError
from identity_em.records import Record
from identity_em.study.artefacts import BaseModelRef


class Shapes(Record):
    """A decoder with grouped attention and a gated feed-forward network (Llama, Qwen2, Seed-OSS).

    Attributes:
        queries: Width of all query heads together; `keys` that of the key heads.
        tied: Whether the embedding is also the output's matrix.
    """

    hidden: int
    ffn: int
    layers: int
    queries: int
    keys: int
    vocabulary: int
    tied: bool = False

    @property
    def linear(self) -> Mapping[str, tuple[int, int]]:
        """Inputs and outputs of one layer's matrices, by module name."""
        h, f = self.hidden, self.ffn
        return {
            "q_proj": (h, self.queries), "k_proj": (h, self.keys), "v_proj": (h, self.keys),
            "o_proj": (self.queries, h), "gate_proj": (h, f), "up_proj": (h, f), "down_proj": (f, h),
        }  # fmt: skip

    @property
    def in_layers(self) -> int:
        """Weights of all layers' matrices."""
        return self.layers * sum(ins * outs for ins, outs in self.linear.values())

    @property
    def outside(self) -> int:
        """Weights of the embedding and the output's matrix."""
        return (1 if self.tied else 2) * self.vocabulary * self.hidden

    def adapter(self, rank: int, modules: Any) -> int:
        """Parameters of a LoRA of this rank on the named modules, in all layers; on all where none is named."""
        if modules in (None, "all-linear"):
            modules = self.linear
        named = {modules} if isinstance(modules, str) else set(modules)
        return self.layers * rank * sum(sum(self.linear[name]) for name in named & self.linear.keys())


# Source: each model's config.json on the Hugging Face Hub.
_KNOWN: Mapping[str, tuple[int, int, int, int, int, int, bool]] = {
    "qwen2.5-0.5b": (896, 4864, 24, 896, 128, 151936, True),
    "qwen2.5-1.5b": (1536, 8960, 28, 1536, 256, 151936, True),
    "qwen2.5-3b": (2048, 11008, 36, 2048, 256, 151936, True),
    "qwen2.5-7b": (3584, 18944, 28, 3584, 512, 152064, False),
    "qwen2.5-14b": (5120, 13824, 48, 5120, 1024, 152064, False),
    "qwen2.5-32b": (5120, 27648, 64, 5120, 1024, 152064, False),
    "qwen2.5-72b": (8192, 29568, 80, 8192, 1024, 152064, False),
    "llama-3.1-8b": (4096, 14336, 32, 4096, 1024, 128256, False),
    "llama-3.1-70b": (8192, 28672, 80, 8192, 1024, 128256, False),
    "seed-oss-36b": (5120, 27648, 64, 10240, 1024, 155136, False),
}


def of(base: BaseModelRef) -> Shapes | None:
    """The base's shapes from its folder, the Hub's local cache, or its name; None where none tells."""
    for folder in (Path(base.path), _cached(base)):
        if (folder / "config.json").is_file():
            return read(folder / "config.json")
    name = re.sub(r"^meta-", "", base.name.rsplit("/", 1)[-1].lower())
    found = next((one for one in _KNOWN if re.match(rf"{re.escape(one)}(?![\d.])", name)), None)
    return known(found) if found else None


def known(name: str) -> Shapes:
    """The shapes of a well-known model."""
    return Shapes(**dict(zip(Shapes.model_fields, _KNOWN[name], strict=True)))


def read(config: Path) -> Shapes | None:
    """The shapes that a config.json gives; None where it is of another kind of model, such as a mixture of experts.

    Raises:
        InputError: It is no JSON object.
    """
    given = parsed(config)
    # num_experts, num_local_experts, n_routed_experts, moe_num_experts: as many names as families.
    if any(value for name, value in given.items() if "experts" in name):
        return None
    try:
        heads = given["num_attention_heads"]
        size = given.get("head_dim") or given["hidden_size"] // heads
        return Shapes(
            hidden=given["hidden_size"],
            ffn=given["intermediate_size"],
            layers=given["num_hidden_layers"],
            queries=heads * size,
            keys=given.get("num_key_value_heads", heads) * size,
            vocabulary=given["vocab_size"],
            tied=bool(given.get("tie_word_embeddings", False)),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def parsed(config: Path) -> dict[str, Any]:
    """A base's config.json.

    Raises:
        InputError: It is no JSON object.
    """
    try:
        given = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _broken(config, f"broken JSON ({error})") from error
    if not isinstance(given, dict):
        raise _broken(config, f"a JSON {type(given).__name__}")
    return given


def _broken(config: Path, found: str) -> InputError:
    return InputError(file=config, found=found, wanted="the base's settings, a JSON object", do="get the file again")


def _cached(base: BaseModelRef) -> Path:
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME", "~/.cache/huggingface")) / "hub")
    return cache.expanduser() / f"models--{base.path.replace('/', '--')}" / "snapshots" / base.weights
