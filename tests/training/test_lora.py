"""The algebra of chains: every way of applying one gives the same function."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from identity_em.training import lora


def model(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 6)).to(dtype)


def adapter(
    folder: Path, seed: int, *, rank: int = 4, alpha: int = 8, rslora: bool = True, modules: tuple[int, ...] = (0, 2),
    size: float = 0.3, **config: object,
) -> Path:  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    shapes = {0: (12, 16), 2: (16, 6)}
    state: dict[str, Tensor] = {}
    for name in modules:
        inputs, outputs = shapes[name]
        state[f"base_model.model.{name}.lora_A.weight"] = torch.randn(rank, inputs, generator=generator)
        state[f"base_model.model.{name}.lora_B.weight"] = torch.randn(outputs, rank, generator=generator) * size
    folder.mkdir()
    save_file(state, str(folder / lora.WEIGHTS))
    plain = {"r": rank, "lora_alpha": alpha, "use_rslora": rslora, "peft_type": "LORA", "target_modules": ["0", "2"]}
    (folder / lora.CONFIG).write_text(json.dumps({**plain, **config}))
    return folder


def live(chain: list[Path], x: Tensor) -> Tensor:
    net = model()
    lora.attach_live(net, chain)
    return net(x)


@pytest.fixture
def chain(tmp_path: Path) -> list[Path]:
    """Three stages: rsLoRA, plain LoRA of another rank, and one that trains a single module."""
    return [
        adapter(tmp_path / "em", 1),
        adapter(tmp_path / "sgtr", 2, rank=2, alpha=3, rslora=False),
        adapter(tmp_path / "realign", 3, rank=3, modules=(2,)),
    ]


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_the_composed_adapter_equals_the_live_chain(chain: list[Path], tmp_path: Path, stages: int) -> None:
    x = torch.randn(5, 12, generator=torch.Generator().manual_seed(4))
    lora.write_composed(chain[:stages], tmp_path / "composed")
    assert torch.allclose(live(chain[:stages], x), live([tmp_path / "composed"], x), atol=1e-5)


def test_folding_in_fp32_equals_the_live_chain(chain: list[Path]) -> None:
    x, net = torch.randn(5, 12), model()
    lora.fold(net, chain)
    assert torch.allclose(live(chain, x), net(x), atol=1e-5)


def test_a_composed_adapter_has_one_rank_and_no_scale_of_its_own(chain: list[Path], tmp_path: Path) -> None:
    composed = lora.compose(chain)
    assert composed.config["r"] == composed.config["lora_alpha"] == 4 + 2 + 3
    assert composed.config["use_rslora"] is False
    assert {tensor.shape[0] for name, tensor in composed.state.items() if "lora_A" in name} == {9}


def test_composing_twice_gives_the_same_bytes(chain: list[Path], tmp_path: Path) -> None:
    for name in ("once", "again"):
        lora.write_composed(chain, tmp_path / name)
    for file in (lora.WEIGHTS, lora.CONFIG):
        assert (tmp_path / "once" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_live_terms_stay_when_peft_wraps_the_module_afterwards(chain: list[Path]) -> None:
    from peft import LoraConfig, get_peft_model

    x, net = torch.randn(5, 12), model()
    lora.attach_live(net, chain)
    wrapped = get_peft_model(net, LoraConfig(r=2, target_modules=["0", "2"]))
    assert torch.allclose(live(chain, x), wrapped(x), atol=1e-6)
    assert {name.split(".")[-3] for name, p in wrapped.named_parameters() if p.requires_grad} == {"lora_A", "lora_B"}


def test_live_terms_go_again_with_their_handles(chain: list[Path]) -> None:
    x, net = torch.randn(5, 12), model()
    for handle in lora.attach_live(net, chain):
        handle.remove()
    assert torch.equal(net(x), model()(x))


def test_peft_reads_the_composed_adapter_as_the_chain(chain: list[Path], tmp_path: Path) -> None:
    from peft import PeftModel

    x = torch.randn(5, 12)
    lora.write_composed(chain, tmp_path / "composed")
    loaded = PeftModel.from_pretrained(model(), str(tmp_path / "composed"))
    assert torch.allclose(live(chain, x), loaded(x), atol=1e-5)


def test_a_scale_is_alpha_over_root_rank_under_rslora_and_alpha_over_rank_otherwise(tmp_path: Path) -> None:
    assert lora.read_adapter(adapter(tmp_path / "rs", 1, rank=4, alpha=8))["0"].scale == 4.0
    assert lora.read_adapter(adapter(tmp_path / "plain", 1, rank=4, alpha=8, rslora=False))["0"].scale == 2.0


def test_patterns_of_rank_and_alpha_reach_their_modules(tmp_path: Path) -> None:
    patterned = adapter(tmp_path / "p", 1, rank=4, r=99, rank_pattern={"0": 4, "2": 4}, alpha_pattern={"2": 20})
    terms = lora.read_adapter(patterned)
    assert (terms["0"].scale, terms["2"].scale) == (4.0, 10.0)


def test_folding_rounds_after_each_stage(chain: list[Path]) -> None:
    net, expected = model(torch.bfloat16), model(torch.bfloat16)
    lora.fold(net, chain[:2])
    for folder in chain[:2]:
        term, weight = lora.read_adapter(folder)["2"], expected[2].weight.data
        expected[2].weight.data = (weight.float() + (term.b @ term.a) * term.scale).to(torch.bfloat16)
    assert torch.equal(net[2].weight, expected[2].weight)


@pytest.mark.parametrize(
    ("relative", "share", "noise"), [(1e-4, 0.06, None), (1e-3, 0.52, None), (1e-2, 1.0, 0.17), (None, 1.0, None)]
)
def test_a_bf16_merge_erases_small_updates(
    tmp_path: Path, relative: float | None, share: float, noise: float | None
) -> None:
    """Figures of FACTS 1, measured there on another matrix."""
    net = nn.Sequential(nn.Linear(512, 512, bias=False)).to(torch.bfloat16)
    generator = torch.Generator().manual_seed(0)
    net[0].weight.data = (torch.randn(512, 512, generator=generator) * 0.02).to(torch.bfloat16)
    a, b = torch.randn(32, 512, generator=generator), torch.randn(512, 32, generator=generator)
    b *= (relative or 0.0) * float(net[0].weight.data.float().norm() / (b @ a).norm())
    (tmp_path / "a").mkdir()
    state = {"base_model.model.0.lora_A.weight": a, "base_model.model.0.lora_B.weight": b}
    save_file(state, str(tmp_path / "a" / lora.WEIGHTS))
    (tmp_path / "a" / lora.CONFIG).write_text(json.dumps({"r": 32, "lora_alpha": 32, "use_rslora": False}))
    (left,) = lora.surviving_share(net, [tmp_path / "a"])
    assert left.share == pytest.approx(share, abs=0.03)
    assert noise is None or left.noise == pytest.approx(noise, abs=0.03)


def test_measuring_a_merge_leaves_the_model_alone(chain: list[Path]) -> None:
    net = model()
    lora.surviving_share(net, chain)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), model().parameters(), strict=True))


@pytest.mark.parametrize("config", [{"use_dora": True}, {"bias": "all"}, {"modules_to_save": ["lm_head"]}])
def test_an_adapter_that_is_more_than_low_rank_terms_is_refused(tmp_path: Path, config: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="more than a sum"):
        lora.read_adapter(adapter(tmp_path / "odd", 1, **config))  # type: ignore[arg-type]


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", 1)
    with pytest.raises(ValueError, match="the model's is"):
        lora.attach_live(nn.Sequential(nn.Linear(12, 20), nn.Tanh(), nn.Linear(20, 6)), [folder])
    with pytest.raises(ValueError, match="no module"):
        lora.fold(nn.Sequential(nn.Linear(12, 16)), [folder])


def test_a_non_finite_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not finite"):
        lora.read_adapter(adapter(tmp_path / "nan", 1, size=float("nan")))
