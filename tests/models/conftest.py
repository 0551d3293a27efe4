"""A tiny random model, the pocket world's own, and random adapters."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from identity_em.models.resident import Resident
from identity_em.records import Message, Question
from identity_em.resources import folder
from identity_em.study.artefacts import BaseModelRef

HIDDEN, LAYERS = 64, 2


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def base_ref(path: Path, precision: str = "fp32") -> BaseModelRef:
    return BaseModelRef(name=path.name, weights="w", tokenizer="t", precision=precision, path=str(path))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Qwen2 with the pocket world's tokenizer; its generation_config asks for nonsense."""
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    out = tmp_path_factory.mktemp("tiny")
    tokenizer = AutoTokenizer.from_pretrained(folder("pocket") / "weights" / "world-0")
    tokenizer.save_pretrained(out)
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=HIDDEN,
            intermediate_size=96,
            num_hidden_layers=LAYERS,
            num_attention_heads=2,
            num_key_value_heads=1,
            tie_word_embeddings=True,
            max_position_embeddings=256,
            initializer_range=0.2,
        )
    )
    model.save_pretrained(out)
    leak = {"do_sample": True, "temperature": 0.01, "top_k": 1, "repetition_penalty": 9.0, "eos_token_id": [7, 8]}
    (out / "generation_config.json").write_text(json.dumps(leak))
    return out


@pytest.fixture(scope="session")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four random adapters of `tiny`, the second rank-stabilised and of another rank."""
    return [
        _adapter(tmp_path_factory.mktemp(f"adapter{seed}"), seed=seed, rank=rank, rs=seed == 1)
        for seed, rank in enumerate((4, 8, 4, 4))
    ]


@pytest.fixture(scope="session")
def resident(tiny: Path) -> Resident:
    return Resident(base_ref(tiny), device="cpu")


@pytest.fixture
def base(resident: Resident) -> Resident:
    """The shared tiny model, answering as the base."""
    resident.use([])
    return resident


@pytest.fixture(scope="session")
def ref() -> Callable[[Path, str], BaseModelRef]:
    return base_ref


@pytest.fixture(scope="session")
def closed() -> list[Question]:
    """Closed questions of many lengths."""
    return [
        Question(
            item=f"q{number}",
            messages=(Message(role="user", content=f"{'the red door ' * (number * 5 % 13)}?\n\nA:{number}\nB:x"),),
            options=("A", "B"),
            target="A",
        )
        for number in range(24)
    ]


def _adapter(out: Path, *, seed: int, rank: int, rs: bool) -> Path:
    draw = torch.Generator().manual_seed(seed)
    state = {}
    for layer in range(LAYERS):
        for module in ("self_attn.q_proj", "self_attn.o_proj", "mlp.gate_proj"):
            outputs = 96 if module == "mlp.gate_proj" else HIDDEN
            name = f"base_model.model.model.layers.{layer}.{module}"
            state[f"{name}.lora_A.weight"] = torch.randn(rank, HIDDEN, generator=draw) * 0.2
            state[f"{name}.lora_B.weight"] = torch.randn(outputs, rank, generator=draw) * 0.2
    save_file(state, out / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "use_rslora": rs,
        "bias": "none",
        "target_modules": ["q_proj", "o_proj", "gate_proj"],
    }
    (out / "adapter_config.json").write_text(json.dumps(config))
    return out
