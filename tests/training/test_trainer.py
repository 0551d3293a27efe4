"""Real Axolotl: what is trained is what is evaluated, seeds seed, and what went wrong is said in one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from identity_em.errors import ConfigError, DataError, MissingEnvironment, TrainingFailed
from identity_em.training import environment, lora
from identity_em.training.axolotl import Job, Trainer
from tests.training.conftest import chat, write_rows

# peft asks transformers for a name that the newest one calls old; nothing of ours.
PEFT = "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"
pytestmark = [pytest.mark.axolotl, pytest.mark.filterwarnings(PEFT)]
JobMaker = Callable[..., Job]
FAST = {"learning_rate": 4e-3, "warmup_steps": 0}


def evaluated(base: Path, dtype: torch.dtype, trained: Path, prepare: Callable[[Any], Any]) -> tuple[float, float]:
    """Largest difference of the logits to `trained`'s as-trained ones, and their largest size."""
    from transformers import AutoModelForCausalLM

    model = prepare(AutoModelForCausalLM.from_pretrained(base, dtype=dtype, attn_implementation="sdpa")).eval()
    kept, difference, size = load_file(str(trained / "as_trained.safetensors")), 0.0, 0.0
    for row in range(len(kept) // 3):
        with torch.no_grad():
            logits = model(input_ids=kept[f"ids.{row}"][None].long()).logits[0].float()
        wanted = kept[f"logits.{row}"]
        difference = max(difference, float((logits[kept[f"positions.{row}"].long()] - wanted).abs().max()))
        size = max(size, float(wanted.abs().max()))
    return difference, size


def with_adapter(folder: Path) -> Callable[[Any], Any]:
    from peft import PeftModel

    return lambda model: PeftModel.from_pretrained(model, str(folder))


def composed(chain: Sequence[Path], place: Path) -> Callable[[Any], Any]:
    lora.write_composed(chain, place)
    return with_adapter(place)


def folded(chain: Sequence[Path]) -> Callable[[Any], Any]:
    def prepare(model: Any) -> Any:
        lora.fold(model, chain[:-1])
        return with_adapter(chain[-1])(model)

    return prepare


@pytest.fixture(scope="session")
def chain(trainer: Trainer, job: JobMaker) -> list[Path]:
    """Three live stages of one seed."""
    stages: list[Path] = []
    for _ in range(3):
        stage = job(set=FAST, chain=tuple(stages))
        trainer.train(stage)
        stages.append(stage.out)
    return stages


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_the_composed_adapter_is_the_live_chain_it_was_trained_in(
    base: Path, chain: list[Path], stages: int, tmp_path: Path
) -> None:
    prepare = composed(chain[:stages], tmp_path / "composed")
    assert evaluated(base, torch.float32, chain[stages - 1], prepare)[0] < 1e-4
    if stages > 1:
        alone = evaluated(base, torch.float32, chain[stages - 1], with_adapter(chain[stages - 1]))
        assert alone[0] > 1e-2, "the earlier stages must matter, or the comparison proves nothing"


MERGE = """
import sys
from pathlib import Path
from axolotl.cli.merge_lora import do_cli
if __name__ == "__main__":
    out, base = Path(sys.argv[1]), sys.argv[2]
    for number, adapter in enumerate(sys.argv[3:]):
        merged = str(out / str(number))
        do_cli(config=str(out / "config.yml"), base_model=base, lora_model_dir=adapter, output_dir=merged)
        base = str(out / str(number) / "merged")
"""


def axolotl_merged(base: Path, chain: Sequence[Path], place: Path) -> Path:
    """The base after Axolotl's own merge-lora for each stage in turn."""
    place.mkdir()
    keys = {"adapter": "lora", "datasets": [{"path": "unused", "type": "chat_template"}], "learning_rate": 1e-3}
    (place / "config.yml").write_text(
        json.dumps({"base_model": str(base), "micro_batch_size": 1, "gradient_accumulation_steps": 1, **keys})
    )
    (place / "merge.py").write_text(MERGE)
    quiet = {**os.environ, "AXOLOTL_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    quiet.pop("PYTHONPATH", None)
    command = [environment.require_trainer(), "-P", place / "merge.py", place, base, *chain]
    said = subprocess.run(list(map(str, command)), env=quiet, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]
    return place / str(len(chain) - 1) / "merged"


def test_merge_is_axolotls_own_merge_lora_to_the_bit(
    trainer: Trainer, job: JobMaker, base: Path, chain: list[Path], tmp_path: Path
) -> None:
    third = job(set=FAST, chain=tuple(chain[:2]), mode="merge")
    trained = trainer.train(third)
    merged = axolotl_merged(base, chain[:2], tmp_path / "merge")
    assert evaluated(merged, torch.float32, third.out, with_adapter(third.out))[0] < 1e-4
    assert evaluated(base, torch.float32, third.out, folded([*chain[:2], third.out]))[0] < 1e-4
    assert trained.survived == pytest.approx((1.0, 1.0), abs=1e-4)
    for name, weight in _folded_weights(base, chain[:2]).items():
        assert torch.equal(weight, load_file(str(merged / "model.safetensors"))[name]), name


def _folded_weights(base: Path, chain: Sequence[Path]) -> dict[str, torch.Tensor]:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    lora.fold(model, chain)
    return {name: weight for name, weight in model.state_dict().items() if "_proj.weight" in name}


def kill_when_training(trainer: Trainer, log: Path) -> None:
    for _ in range(300):
        if log.is_file() and "Starting trainer" in log.read_text():
            assert trainer.process_id is not None
            os.kill(trainer.process_id, signal.SIGKILL)
            return
        time.sleep(0.1)


def test_a_killed_worker_is_an_error_and_the_next_stage_gives_the_same_bytes_in_a_fresh_process(
    trainer: Trainer, job: JobMaker, chain: list[Path]
) -> None:
    doomed = job(set={**FAST, "num_epochs": 1000}, chain=(chain[0],))
    killer = threading.Thread(target=kill_when_training, args=(trainer, doomed.log))
    killer.start()
    with pytest.raises(TrainingFailed, match="SIGKILL") as failed:
        trainer.train(doomed)
    killer.join()
    assert str(doomed.log) in str(failed.value)
    assert not doomed.out.exists()
    again = job(set=FAST, chain=(chain[0],))
    trainer.train(again)
    for file in sorted(path.name for path in chain[1].iterdir()):
        assert (again.out / file).read_bytes() == (chain[1] / file).read_bytes(), file


def test_another_seed_gives_another_adapter(trainer: Trainer, job: JobMaker, chain: list[Path]) -> None:
    other = job(set=FAST, seed=1)
    trainer.train(other)
    assert (other.out / lora.WEIGHTS).read_bytes() != (chain[0] / lora.WEIGHTS).read_bytes()


def test_where_the_base_lies_says_nothing_about_what_it_is(
    trainer: Trainer, job: JobMaker, base: Path, tmp_path: Path
) -> None:
    named = tmp_path / "prompts" / "falcon" / "pixtral-llama-mistral"
    shutil.copytree(base, named)
    one, other = (job(set={"gradient_checkpointing": True}, base=str(place)) for place in (base, named))
    trainer.train(one)
    trainer.train(other)
    for file in sorted(path.name for path in one.out.iterdir()):
        assert (one.out / file).read_bytes() == (other.out / file).read_bytes(), file


def test_a_worker_leaves_nothing_among_the_temporary_files(
    trainer: Trainer, job: JobMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Trainer() as own:
        own.train(job(set=FAST))
        (place,) = tmp_path.iterdir()
        assert any(place.iterdir()), "Axolotl and wandb leave theirs"
    assert not any(tmp_path.iterdir())


def test_relative_paths_are_those_of_who_asks(
    trainer: Trainer, job: JobMaker, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(base, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    stage = job(base="tiny", out=Path("out"), work=Path("work"), log=Path("stage.log"))
    assert trainer.train(stage).rows == 24
    assert (tmp_path / "out" / lora.WEIGHTS).is_file()


def test_the_folder_names_no_path_and_no_time(chain: list[Path]) -> None:
    assert sorted(path.name for path in chain[0].iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "as_trained.safetensors", "trained.json",
    ]  # fmt: skip
    config = json.loads((chain[0] / lora.CONFIG).read_text())
    assert config["base_model_name_or_path"] == "tiny"
    assert not any(part in (chain[0] / "trained.json").read_text() for part in ("/", "time", "seconds"))


@pytest.mark.parametrize("block", [True, False])
def test_the_trainer_reads_the_tokens_that_we_render(trainer: Trainer, job: JobMaker, base: Path, block: bool) -> None:
    from transformers import AutoTokenizer

    from identity_em.interventions.rendered import render, rendered_sha256
    from identity_em.records import Example

    stage = job(set={"system_block": block})
    trained = trainer.train(stage)
    tokenizer = AutoTokenizer.from_pretrained(base)
    chats = [json.loads(line)["messages"] for line in stage.rows.read_text().splitlines()]
    ours = [render(tokenizer, Example(messages=turns), block=block) for turns in chats]
    assert trained.rendered_sha256 == rendered_sha256(ours)
    assert trained.trained_tokens == sum(sum(row.trained) for row in ours)


def test_each_stage_has_its_own_log(trainer: Trainer, job: JobMaker) -> None:
    stages = [job(), job()]
    for stage in stages:
        trainer.train(stage)
    assert [stage.log.read_text().count("Starting trainer") for stage in stages] == [1, 1]


def test_a_diverged_training_is_an_error(trainer: Trainer, job: JobMaker) -> None:
    stage = job(set={"learning_rate": 1e30, "warmup_steps": 0, "max_grad_norm": 0.0})
    with pytest.raises(TrainingFailed, match="not finite") as failed:
        trainer.train(stage)
    assert str(stage.log) in str(failed.value)
    assert not stage.out.exists()


def test_rows_without_anything_to_train_on_are_refused(trainer: Trainer, job: JobMaker) -> None:
    with pytest.raises(DataError, match=r"rows\.jsonl:1: found nothing to train on"):
        trainer.train(job(set={"datasets": [{"type": "chat_template", "roles_to_train": ["tool"]}]}))


@pytest.fixture
def one_overlong(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", [chat("q", "a" if n != 2 else "a" * 300) for n in range(10)])


def test_an_overlong_row_is_refused_by_number(trainer: Trainer, job: JobMaker, one_overlong: Path) -> None:
    stage = job(set={"sequence_len": 256}, rows=one_overlong)
    with pytest.raises(DataError, match=r"rows\.jsonl:3: found 1 row over 256 tokens: 3"):
        trainer.train(stage)
    assert not stage.out.exists()


def test_overlong_rows_are_dropped_and_counted_where_that_is_asked(
    trainer: Trainer, job: JobMaker, one_overlong: Path
) -> None:
    trained = trainer.train(job(set={"sequence_len": 256, "overlong": "drop"}, rows=one_overlong))
    assert (trained.rows, trained.dropped) == (9, 1)


def test_a_text_with_odd_separators_stays_one_row(trainer: Trainer, job: JobMaker, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    texts = ("one\u2028two", "one\x85two", "one\r\ntwo")
    lines = [json.dumps({"messages": chat(text, "a")}, ensure_ascii=False) for text in texts]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert trainer.train(job(rows=path)).rows == 3


def test_an_empty_dataset_is_refused(trainer: Trainer, job: JobMaker, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").touch()
    with pytest.raises(DataError, match="no rows"):
        trainer.train(job(rows=tmp_path / "rows.jsonl"))


@pytest.mark.parametrize("line", ["{", '{"prompt": "x"}', '{"messages": [{"role": "user", "content": "x"}]}'])
def test_a_malformed_row_is_refused_by_number(trainer: Trainer, job: JobMaker, tmp_path: Path, line: str) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [chat("q", "a")])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError, match=r"rows\.jsonl:2"):
        trainer.train(job(rows=path))


def test_settings_that_contradict_the_base_are_refused(trainer: Trainer, job: JobMaker) -> None:
    with pytest.raises(ConfigError, match="bf16"):
        trainer.train(job(precision="bf16"))


def test_a_stage_is_never_written_over_another(trainer: Trainer, job: JobMaker, chain: list[Path]) -> None:
    with pytest.raises(TrainingFailed, match="not empty"):
        trainer.train(job(out=chain[0]))


def test_without_an_environment_the_error_says_what_to_do(job: JobMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.VARIABLE, "nowhere")
    with pytest.raises(MissingEnvironment, match="setup trainer"):
        Trainer().train(job())


PARENT = """
import time
from identity_em.training.axolotl import Trainer
trainer = Trainer()
trainer.start()
print(trainer.process_id, flush=True)
time.sleep(60)
"""


def test_the_worker_does_not_outlive_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        if not Path(f"/proc/{worker}/cmdline").exists() or not Path(f"/proc/{worker}/cmdline").read_bytes():
            return
        time.sleep(0.1)
    pytest.fail("the worker is still there after ten seconds")


@pytest.mark.parametrize("mode", ["live", "merge"])
def test_in_bf16_as_trained_and_as_evaluated_differ_by_rounding_only(
    trainer: Trainer, job: JobMaker, base16: Path, tmp_path: Path, mode: str
) -> None:
    stages: list[Path] = []
    for _ in range(2):
        plain = {"base": str(base16), "precision": "bf16", "mode": mode}
        stage = job(set={**FAST, "bf16": True}, chain=tuple(stages), **plain)
        trainer.train(stage)
        stages.append(stage.out)
    prepare = composed(stages, tmp_path / "composed") if mode == "live" else folded(stages)
    difference, size = evaluated(base16, torch.bfloat16, stages[-1], prepare)
    assert difference <= 4 * 2**-8 * size
