"""The memory estimate is what PyTorch would allocate, counted on fake tensors of real shapes; no GPU, no weights."""

import gc
import json
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from identity_em.cli import main
from identity_em.resources import folder, resource
from identity_em.study import memory, shapes
from identity_em.study.artefacts import BaseModelRef
from identity_em.study.shapes import Shapes
from identity_em.training.placement import Placement
from identity_em.training.settings import settings

ALONE = Placement()


def known(name: str) -> Shapes:
    base = BaseModelRef(name=name, weights="0" * 40, tokenizer="", precision="bf16", path=name)
    found = shapes.of(base)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", 7.61), ("unsloth/Qwen2.5-32B-Instruct", 32.76),
        ("ByteDance-Seed/Seed-OSS-36B-Instruct", 36.15), ("meta-llama/Llama-3.1-70B-Instruct", 70.55),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", 8.03),
    ],
)  # fmt: skip
def test_the_known_shapes_add_up_to_the_published_size(name: str, billions: float) -> None:
    found = known(name)
    assert (found.in_layers + found.outside) / 1e9 == pytest.approx(billions, rel=0.002)


def test_a_name_that_only_begins_alike_is_not_known() -> None:
    base = BaseModelRef(name="x/Qwen2.5-7Bx", weights="0" * 40, tokenizer="", precision="bf16", path="x")
    assert shapes.of(base.model_copy(update={"name": "x/Qwen2.5-70B"})) is None
    assert shapes.of(base.model_copy(update={"name": "x/other-7B"})) is None


def test_the_adapter_of_the_recipe_is_the_published_size() -> None:
    """Source: FACTS 1, rank 32 on seven projections of Qwen2.5-32B: 268.4 M parameters."""
    recipe = settings("qwen2.5-32b")
    assert known("Qwen2.5-32B").adapter(32, recipe["lora_target_modules"]) == pytest.approx(268.4e6, rel=1e-3)


def test_an_adapter_on_one_module_or_on_all_is_counted_as_one_on_a_list_of_them() -> None:
    base = known("Qwen2.5-32B")
    assert base.adapter(32, "q_proj") == base.adapter(32, ["q_proj"]) > 0
    assert base.adapter(32, None) == base.adapter(32, "all-linear") == base.adapter(32, list(base.linear))


class Counted(TorchDispatchMode):
    """Bytes held by tensors, as they come and go; their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._hold(tensor.untyped_storage())
        return out

    def _hold(self, storage: Any) -> None:
        if storage._cdata not in self.held:
            self.held[storage._cdata] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._drop, storage._cdata)

    def _drop(self, name: int) -> None:
        self.now -= self.held.pop(name, 0)


@contextmanager
def unmoved() -> Iterator[None]:
    """Fake weights cannot be moved, and are where they should be."""
    move = torch.nn.Module.to
    torch.nn.Module.to = lambda self, *_, **__: self  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        torch.nn.Module.to = move  # type: ignore[method-assign]


def one_step(base: Shapes, resolved: dict[str, Any]) -> float:
    """The peak of two forward and backward passes in bf16, GiB: Axolotl's way of it, without an optimiser.

    Two, as gradients are held from the first one of a step on.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=base.vocabulary, hidden_size=base.hidden, intermediate_size=base.ffn,
        num_hidden_layers=base.layers, num_attention_heads=base.queries // 128, num_key_value_heads=base.keys // 128,
        head_dim=128, max_position_embeddings=4096, tie_word_embeddings=False, use_cache=False,
    )  # fmt: skip
    lora = LoraConfig(r=resolved["lora_r"], target_modules=resolved["lora_target_modules"])
    ids = (resolved["micro_batch_size"], resolved["sequence_len"])
    with FakeTensorMode(allow_non_fake_inputs=True), Counted() as counted, unmoved():
        torch.set_default_dtype(torch.bfloat16)
        try:
            model = Qwen2ForCausalLM(config).requires_grad_(False)
        finally:
            torch.set_default_dtype(torch.float32)
        model = get_peft_model(model, lora).train()
        if resolved["gradient_checkpointing"]:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            model.enable_input_require_grads()
        tokens = torch.zeros(ids, dtype=torch.long)
        for _ in range(2):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = model(input_ids=tokens, labels=tokens, num_items_in_batch=torch.tensor(100)).loss
            loss.backward()
            del loss
    peak = counted.peak
    del model
    gc.collect()
    return peak / memory.GIB


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Qwen2.5-7B", {}), ("Qwen2.5-7B", {"gradient_checkpointing": False, "micro_batch_size": 1}),
        ("Qwen2.5-7B", {"micro_batch_size": 1, "sequence_len": 512}),
        pytest.param("Llama-3.1-70B", {}, marks=pytest.mark.long),
        pytest.param("Qwen2.5-14B", {"lora_r": 64}, marks=pytest.mark.long),
        pytest.param("Qwen2.5-32B", {}, marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_the_estimate_is_what_pytorch_would_hold(name: str, changes: dict[str, Any]) -> None:
    base, resolved = known(name), settings("qwen2.5-7b", changes)
    found = memory.per_gpu(base, resolved, "bf16", placement=ALONE)
    trained = base.adapter(resolved["lora_r"], resolved["lora_target_modules"])
    states = trained * 2 * (1 + 4 / 256) / memory.GIB  # no optimiser was counted
    counted = one_step(base, resolved)
    assert found.peak - states == pytest.approx(counted, rel=0.03)
    assert found.peak - states - found.weights == pytest.approx(counted - found.weights, rel=0.05)


def test_what_fits_where() -> None:
    """The presets' claims: axolotl_configs/README.md says the same."""

    def fits(name: str, config: str, precision: Any, placement: Placement = ALONE, earlier: int = 1) -> tuple[str, ...]:
        return memory.per_gpu(known(name), settings(config), precision, placement=placement, earlier=earlier).fits

    assert fits("Qwen2.5-32B", "qwen2.5-32b", "bf16") == ("H200", "H100", "A100")
    assert fits("Seed-OSS-36B", "seed-oss-36b", "bf16") == ("H200",)
    assert "A100" in fits("Qwen2.5-32B", "qwen2.5-32b-4bit", "4bit")
    assert "A100" in fits("Seed-OSS-36B", "seed-oss-36b-4bit", "4bit")
    assert "A100" in fits("Llama-3.1-70B", "llama-3.1-70b-4bit", "4bit")
    two, four = (Placement(gpus=n, sharding="fsdp2") for n in (2, 4))
    assert fits("Llama-3.1-70B", "llama-3.1-70b", "bf16", two) == ("H200",)
    assert "A100" in fits("Llama-3.1-70B", "llama-3.1-70b", "bf16", four)


def test_who_asks_a_base_has_the_gpus_of_one_node() -> None:
    def found(**placed: Any) -> memory.Memory:
        placement = Placement(sharding="fsdp2", **placed)
        return memory.per_gpu(known("Llama-3.1-70B"), settings("llama-3.1-70b"), "bf16", placement=placement)

    assert found(gpus=2).asked == pytest.approx(141.4 / 2 + 1.96, abs=0.1)
    assert found(gpus=4).can_ask == tuple(memory.GPUS)
    assert "WARNING" not in memory.line(found(gpus=4))
    assert "WARNING: asking takes 141.4 GiB of each GPU of a node: none" in memory.line(found(gpus=1, nodes=4))


def test_a_config_of_another_kind_of_model_has_no_shapes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba", "hidden_size": 8}')
    assert shapes.read(tmp_path / "config.json") is None


# Source: each model's config.json on the Hugging Face Hub.
MIXTURES: dict[str, dict[str, int]] = {
    "Mixtral-8x7B": {
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 32000, "num_local_experts": 8,
    },
    "Qwen3-30B-A3B": {
        "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 48, "num_attention_heads": 32,
        "num_key_value_heads": 4, "head_dim": 128, "vocab_size": 151936, "num_experts": 128,
    },
    "DeepSeek-V2-Lite": {
        "hidden_size": 2048, "intermediate_size": 10944, "num_hidden_layers": 27, "num_attention_heads": 16,
        "num_key_value_heads": 16, "vocab_size": 102400, "n_routed_experts": 64,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_of_experts_is_not_taken_for_one_of_its_experts(tmp_path: Path, name: str) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(MIXTURES[name]))
    assert shapes.read(config) is None
    config.write_text(json.dumps({k: None if "experts" in k else v for k, v in MIXTURES[name].items()}))
    assert shapes.read(config) is not None


@pytest.mark.parametrize("heads", [None, 0, "many"])
def test_a_config_with_odd_values_has_no_shapes(tmp_path: Path, heads: object) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**MIXTURES["Mixtral-8x7B"], "num_attention_heads": heads}))
    assert shapes.read(tmp_path / "config.json") is None


def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str) -> int:
    """`identity-em plan` of a base in a folder called after a mixture of experts; its exit code."""
    base = tmp_path / "Mixtral-8x7B"
    shutil.copytree(folder("pocket") / "weights" / "world-0", base)
    (base / "config.json").write_text(config)
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body["model"]["base"] = str(base)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(body))
    monkeypatch.setattr("sys.argv", ["identity-em", "plan", str(tmp_path / "study.yaml")])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_plan_says_that_it_knows_neither_memory_nor_hours_of_a_mixture_of_experts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert planned(tmp_path, monkeypatch, json.dumps(MIXTURES["Mixtral-8x7B"])) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no size known for Mixtral-8x7B, so no hours" in said
    assert "no estimate of memory: the shapes of Mixtral-8x7B are not known" in said


@pytest.mark.parametrize("text", ['{"hidden_size": 40', "[]"])
def test_a_broken_config_of_the_base_is_one_line_before_anything_is_made(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert planned(tmp_path, monkeypatch, text) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "Mixtral-8x7B/config.json: found " in line
