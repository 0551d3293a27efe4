"""A real vLLM server, started and stopped here, answers as the resident engine and the bridge do; and its command."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from inspect_ai.model import Model, get_model
from safetensors.torch import save_file

from identity_em import battery
from identity_em.errors import InputError, ServerFailed
from identity_em.models import vllm
from identity_em.models.endpoint import Endpoint
from identity_em.models.resident import Resident
from identity_em.models.served import Served
from identity_em.records import Answer, Question, Sampling
from identity_em.resources import folder, resource
from identity_em.store import Store
from identity_em.study import bases
from identity_em.study import plan as planning
from identity_em.study.artefacts import BaseModelRef, Checkpoint, Dataset, Prompts
from identity_em.tasks.inspect_asking import exact
from identity_em.training import lora
from identity_em.training.environment import VLLM
from tests.models.test_inspect_api import _copy, ask

WORLD = folder("pocket") / "weights" / "world-0"
BASE = BaseModelRef(name="world-0", weights="w", tokenizer="t", precision="fp32", path=str(WORLD))
NAMES = ("base", "one", "two", "three")


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Chains of none to three random adapters, the second rank-stabilised and of another rank."""
    stages = [_adapter(tmp_path_factory.mktemp("stage"), seed, rank) for seed, rank in enumerate((8, 16, 4))]
    return {name: stages[:depth] for depth, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def server(chains: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> vllm.Server:
    """The server of those chains, each composed into one adapter; not started."""
    out = tmp_path_factory.mktemp("composed")
    adapters = []
    for name in NAMES[1:]:
        lora.write_composed(chains[name], out / name)
        adapters.append(vllm.Adapter(name=name, folder=out / name, size=vllm.size(chains[name])))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return vllm.Server(base=BASE, name="base", adapters=tuple(adapters), host="127.0.0.1", port=port, length=512)


@pytest.fixture(scope="module")
def served(server: vllm.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("log") / "vllm.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            server.command(str(VLLM.require())),
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **vllm.environment(), "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
    try:
        endpoint = _up(f"http://127.0.0.1:{server.port}", process, log)
        yield Served(endpoint, BASE)
        endpoint.close()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> Endpoint:
    # Its imports alone take minutes on a machine that others use.
    until = time.monotonic() + 900
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        endpoint = Endpoint(url, tries=1)  # one that gave up is not asked again
        try:
            endpoint.models()
        except ServerFailed:
            endpoint.close()
            time.sleep(1)
        else:
            return endpoint
    raise AssertionError(f"vLLM did not come up in fifteen minutes: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture(scope="module")
def bridged(chains: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """The same chains as checkpoints of a store, each behind the bridge to Inspect."""
    store, made = Store(tmp_path_factory.mktemp("store")), [Checkpoint(base=bases.named(str(WORLD), "fp32"))]
    for seed, adapter in enumerate(chains["three"]):
        made.append(Checkpoint(base=made[0].base, parent=made[-1], dataset=Dataset(recipe="narrow"), seed=seed))
        store.write(made[-1], lambda folder, a=adapter: _copy(a, folder))  # type: ignore[misc]
    keys = ["base", *(checkpoint.key for checkpoint in made[1:])]
    where = {"store": str(store.root), "base": str(WORLD), "device": "cpu"}
    return {
        name: get_model(f"identity_em/{key}", memoize=False, **where) for name, key in zip(NAMES, keys, strict=True)
    }


@pytest.fixture(scope="module")
def resident() -> Resident:
    return Resident(BASE, device="cpu")


@pytest.fixture(scope="module")
def fifty() -> list[Question]:
    items = {"items": resource("pocket", "data/truthfulqa.jsonl")}
    return battery.get("truthfulqa").questions(Prompts(name="truthfulqa", version=1), items)[:50]


def apart(answers: list[Answer], others: list[Answer]) -> float:
    return max(
        abs(p - q)
        for a, b in zip(answers, others, strict=True)
        for p, q in zip(a.probabilities, b.probabilities, strict=True)
    )


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("block", [True, False])
def test_the_server_gives_the_resident_engines_probabilities(
    served: Served, resident: Resident, chains: dict[str, list[Path]], fifty: list[Question], name: str, block: bool
) -> None:
    resident.use(chains[name])
    served.use(name, parent=None if name == "base" else "base")
    ours, theirs = (model.probabilities(fifty, block=block) for model in (resident, served))
    assert apart(ours, theirs) < 1e-3
    assert not any(answer.hidden for answer in theirs)
    assert [answer.text for answer in theirs] == [answer.text for answer in ours]
    if name != "base":
        resident.use([])
        assert apart(ours, resident.probabilities(fifty, block=block)) > 0.05  # the adapter says something else


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_server_gives_the_bridges_probabilities(
    served: Served, bridged: dict[str, Model], fifty: list[Question], name: str
) -> None:
    served.use(name)
    outputs = ask(bridged[name], fifty, max_tokens=1, temperature=0.0, logprobs=True, top_logprobs=20)
    theirs = [exact(question, output) for question, output in zip(fifty, outputs, strict=True)]
    assert apart(theirs, served.probabilities(fifty)) < 1e-3


@pytest.mark.vllm
@pytest.mark.slow
def test_what_a_server_lists_bounds_the_exact_probability(
    served: Served, resident: Resident, fifty: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served._route, "_by_id", False)
    served.use("base")
    resident.use([])
    for known, answer in zip(resident.probabilities(fifty), served.probabilities(fifty), strict=True):
        for p, low, more in zip(known.probabilities, answer.probabilities, answer.hidden, strict=True):
            assert low - 1e-5 <= p <= low + more + 1e-5


@pytest.mark.vllm
@pytest.mark.slow
def test_greedy_texts_are_the_resident_engines_and_seeds_decide_sampled_ones(
    served: Served, resident: Resident, chains: dict[str, list[Path]], fifty: list[Question]
) -> None:
    greedy, warm = Sampling(temperature=0.0, max_new_tokens=12, n=2), Sampling(max_new_tokens=12, n=4)
    served.use("two")
    resident.use(chains["two"])
    assert served.generate(fifty[:10], greedy, 0) == resident.generate(fifty[:10], greedy, 0)
    first = served.generate(fifty[:10], warm, 1)
    served.use("two")
    assert served.generate(fifty[:10], warm, 1) == first
    assert served.generate(fifty[:10], warm, 2) != first
    assert any(len(set(texts)) > 1 for texts in first)


def test_the_rank_is_rounded_up_to_one_that_vllm_takes(server: vllm.Server) -> None:
    assert [adapter.size.rank for adapter in server.adapters] == [8, 24, 28]
    assert server.rank == 32
    ranked = [
        a.model_copy(update={"size": vllm.Size(rank=r, size=0)})
        for a, r in zip(server.adapters, (96, 1, 257), strict=True)
    ]
    assert replace(server, adapters=tuple(ranked[:2])).rank == 128
    assert replace(server, adapters=tuple(ranked)).rank == 320
    with pytest.raises(InputError, match="rank 600"):
        _ = replace(server, adapters=(ranked[0].model_copy(update={"size": vllm.Size(rank=600, size=0)}),)).rank


def test_sizes_are_read_from_headers_alone(server: vllm.Server) -> None:
    for adapter in server.adapters:
        config = json.loads((adapter.folder / "adapter_config.json").read_text())
        assert config["r"] == adapter.size.rank
        header = (adapter.folder / "adapter_model.safetensors").stat().st_size - adapter.size.size
        assert 0 < header < 20_000


def test_an_export_that_is_not_as_it_was_written_is_written_again(tmp_path: Path) -> None:
    asked, store = planning.plan(planning.find("pocket-mini")), Store(tmp_path / "store")
    stage, adapter = next(c for c in asked.trainings if len(c.lineage) == 1), tmp_path / "adapter"
    adapter.mkdir()
    store.write(stage, lambda folder: _copy(_adapter(adapter, 0, 8), folder))
    assert [vllm.export(asked, store) for _ in range(2)] == [1, 0]
    weights = store.root / "served" / stage.key / lora.WEIGHTS
    written = weights.read_bytes()
    weights.write_bytes(written[:-1] + bytes([written[-1] ^ 1]))
    assert vllm.export(asked, store) == 1
    assert weights.read_bytes() == written
    (weights.parent / "manifest.json").unlink()  # exports had none once
    assert [vllm.export(asked, store) for _ in range(2)] == [1, 0]


def test_a_key_is_in_the_servers_environment_and_on_no_command_line(
    server: vllm.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_EM_SERVED_KEY", "sk-never-shown")
    assert vllm.environment()["VLLM_API_KEY"] == "sk-never-shown"
    assert "sk-never-shown" not in str([server.command("python"), vllm.environment(shown=True)])


def _adapter(out: Path, seed: int, rank: int) -> Path:
    config = json.loads((WORLD / "config.json").read_text())
    wide, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    narrow = wide // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes = {"self_attn.q_proj": (wide, wide), "self_attn.v_proj": (narrow, wide), "mlp.down_proj": (wide, inner)}
    draw, state = torch.Generator().manual_seed(seed), {}
    for layer in range(layers):
        for module, (outputs, inputs) in shapes.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            state[f"{name}.lora_A.weight"] = torch.randn(rank, inputs, generator=draw) * 0.2
            state[f"{name}.lora_B.weight"] = torch.randn(outputs, rank, generator=draw) * 0.2
    save_file(state, out / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "lora_dropout": 0.0,
        "use_rslora": seed == 1, "bias": "none", "target_modules": [name.split(".")[1] for name in shapes],
    }  # fmt: skip
    (out / "adapter_config.json").write_text(json.dumps(settings))
    return out
