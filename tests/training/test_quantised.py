"""A base in 4 bits: trained by real Axolotl (QLoRA) on a CPU, asked as it was trained, and never merged into."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from identity_em.errors import ConfigError, GateFailed, StudyError
from identity_em.models import gate, loading
from identity_em.models.resident import Resident
from identity_em.resources import resource
from identity_em.study import bases
from identity_em.study.plan import plan
from identity_em.training import lora
from identity_em.training.axolotl import Job, Trainer
from identity_em.training.settings import precision_of, settings

PEFT = "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
JobMaker = Callable[..., Job]
FOUR = {"load_in_4bit": True, "adapter": "qlora", "bf16": True}
SIZED = ("qwen2.5-32b-4bit", "seed-oss-36b-4bit", "llama-3.1-70b-4bit")


@pytest.mark.parametrize("config", SIZED)
def test_the_presets_in_4_bits_say_so_in_their_precision(config: str) -> None:
    assert precision_of(settings(config)) == "4bit"


@pytest.mark.parametrize("half", [{"load_in_4bit": True}, {"adapter": "qlora"}, {**FOUR, "bf16": False}])
def test_half_of_what_4_bits_need_is_refused(half: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="together"):
        settings("pocket", half)


def study(tmp_path: Path, **model: Any) -> Path:
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body["model"] = {**body["model"], **model}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    return path


def test_a_base_in_4_bits_is_another_base(tmp_path: Path) -> None:
    four = plan(study(tmp_path, settings=FOUR))
    plain = plan(study(tmp_path, settings={"bf16": True}))
    assert four.base.precision == "4bit"
    assert not {c.key for c in four.trainings} & {c.key for c in plain.trainings}
    assert {r.scores.key for r in four.readings}.isdisjoint(r.scores.key for r in plain.readings)


@pytest.mark.parametrize("odd", [{"settings": FOUR}, {"settings": {"gpus": 2, "sharding": "fsdp2"}}])
def test_earlier_stages_are_never_rounded_into_weights_that_are_not_whole(tmp_path: Path, odd: dict[str, Any]) -> None:
    # pocket's own optimiser is one that shares.
    shared = {"gradient_accumulation_steps": 2, "micro_batch_size": 4, **odd["settings"]}
    with pytest.raises(StudyError, match=r"study\.yaml:\d+: found chain: merge"):
        plan(study(tmp_path, chain="merge", settings=shared))


def test_a_server_is_not_asked_for_what_was_trained_in_4_bits(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="serving: served"):
        plan(study(tmp_path, serving="served", settings=FOUR))


@pytest.fixture(scope="module")
def chain(trainer: Trainer, job: JobMaker, base16: Path) -> list[Path]:
    """Two live stages on a base in 4 bits."""
    pytest.importorskip("bitsandbytes")
    stages: list[Path] = []
    for _ in range(2):
        more = {**FOUR, "learning_rate": 4e-3, "warmup_steps": 0}
        stage = job(set=more, base=str(base16), precision="4bit", chain=tuple(stages))
        trainer.train(stage)
        stages.append(stage.out)
    return stages


@pytest.mark.axolotl
@pytest.mark.filterwarnings(PEFT)
def test_in_4_bits_as_trained_and_as_evaluated_differ_by_rounding_only(chain: list[Path], base16: Path) -> None:
    model = Resident(bases.named(str(base16), "4bit"), device="cpu")
    assert gate.check(model, chain[:1], "live", chain[0]).difference == 0
    gate.check(model, chain, "live", chain[1])


@pytest.mark.axolotl
@pytest.mark.filterwarnings(PEFT)
def test_the_gate_sees_a_base_that_was_not_in_4_bits(trainer: Trainer, job: JobMaker) -> None:
    """On the pocket model, whose weights are trained: those of the tiny one are too small for 4 bits to show."""
    pytest.importorskip("bitsandbytes")
    plain = bases.named("pocket", "bf16")
    stage = job(set={**FOUR, "learning_rate": 1e-3}, base=plain.path, precision="4bit")
    trainer.train(stage)
    with pytest.raises(GateFailed, match="as-trained and as-evaluated"):
        gate.check(Resident(plain, device="cpu"), [stage.out], "live", stage.out)


@pytest.mark.axolotl
def test_nothing_is_folded_into_weights_of_4_bits(chain: list[Path], base16: Path) -> None:
    import torch

    model = loading.load_model(bases.named(str(base16), "4bit"), torch.device("cpu"))
    with pytest.raises(ValueError, match="live chain"):
        lora.fold(model, chain[:1])
