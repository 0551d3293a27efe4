"""The vLLM server of a study: one base, every trained checkpoint as one composed adapter under its key.

Source: FACTS 4 (flags, ranks, what a server on a CPU needs).
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from identity_em import manifests
from identity_em.errors import DamagedArtefact, InputError
from identity_em.models.endpoint import KEY_VARIABLE
from identity_em.models.served import served_name
from identity_em.records import Record
from identity_em.store import Store
from identity_em.study import shapes
from identity_em.study.artefacts import BaseModelRef, Checkpoint
from identity_em.study.plan import Plan

# Source: `MaxLoRARanks` of vLLM 0.32.0.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
DTYPES = {"fp32": "float32", "bf16": "bfloat16"}
# Room for an article and two summaries; more costs memory that answers could use.
_LENGTH = 8192
# Adapters that one batch may mix: each has memory of its own on the device.
_MIXED = 8
_ADAPTER = "adapter"


class Size(Record):
    """What a chain's one composed adapter measures.

    Attributes:
        rank: Of its matrices.
        size: Bytes of its fp32 file, without the header.
    """

    rank: int
    size: int


class Adapter(Record):
    """A checkpoint's composed adapter as a server gets it."""

    name: str
    folder: Path
    size: Size


@dataclass(frozen=True)
class Server:
    """A vLLM server that is ready to be started."""

    base: BaseModelRef
    name: str
    adapters: tuple[Adapter, ...]
    host: str
    port: int
    length: int

    @property
    def rank(self) -> int:
        """The least rank that vLLM takes and every adapter fits in.

        Raises:
            InputError: There is none.
        """
        most = max((adapter.size.rank for adapter in self.adapters), default=1)
        found = next((rank for rank in RANKS if rank >= most), None)
        if found is None:
            raise InputError(
                found=f"a composed adapter of rank {most}", wanted=f"at most {RANKS[-1]}, vLLM's largest",
                do="ask this study of the resident model",
            )  # fmt: skip
        return found

    def command(self, python: str) -> list[str]:
        """The command line, for the interpreter of vLLM's environment."""
        revision = ["--revision", self.base.revision] if self.base.revision else []
        command = [
            *(python, "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", self.base.path, *revision, "--served-model-name", self.name),
            *("--host", self.host, "--port", str(self.port)),
            *("--dtype", DTYPES[self.base.precision], "--max-model-len", str(self.length)),
            # Else the base's own generation_config would decide what a request leaves open.
            *("--generation-config", "vllm"),
        ]
        if self.adapters:
            mixed = str(min(_MIXED, len(self.adapters)))
            command += ["--enable-lora", "--max-lora-rank", str(self.rank), "--max-loras", mixed]
            command += ["--max-cpu-loras", str(len(self.adapters)), "--lora-modules"]
            command += [f"{adapter.name}={adapter.folder}" for adapter in self.adapters]
        return [*command, *([] if shutil.which("nvidia-smi") else self._on_cpu)]

    @property
    def _on_cpu(self) -> list[str]:
        """Compiling takes minutes there; and a prompt that is read in parts ends vLLM 0.32 where it has a seed."""
        return [
            "--enforce-eager",
            "--no-enable-chunked-prefill",
            "--max-num-batched-tokens",
            str(max(self.length, 4096)),
        ]


def environment(*, shown: bool = False) -> dict[str, str]:
    """What the server's process finds in its environment beside ours: nothing is sent anywhere, the key is its key.

    Args:
        shown: Fit to be printed: the key by the name of its variable.
    """
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
    cpu = {} if shutil.which("nvidia-smi") else {"VLLM_CPU_KVCACHE_SPACE": "1"}
    key = os.environ.get(KEY_VARIABLE)
    return {**cpu, **quiet, **({"VLLM_API_KEY": f"${KEY_VARIABLE}" if shown else key} if key else {})}


def server(plan: Plan, store: Store, *, host: str, port: int, length: int | None = None) -> Server:
    """The server of a study's trained checkpoints; nothing is written.

    Args:
        length: Most tokens of a prompt and its answer; what the base takes, up to 8,192, if not given.

    Raises:
        InputError: A merged chain, or a hosted base.
        DamagedArtefact: A checkpoint is not what its manifest says.
    """
    if plan.base.hosted:
        raise InputError(
            found=f"{plan.base.name}, a hosted base", wanted="a base with weights",
            do="just run the study: the API answers", file=plan.located.file,
        )  # fmt: skip
    if plan.study.model.chain == "merge":
        raise InputError(
            found="a study of merged chains", wanted="`chain: live`: adapters of one base",
            do="let the resident model answer", file=plan.located.file,
        )  # fmt: skip
    trained = {t.checkpoint.key: t.checkpoint for t in plan.trained if not t.checkpoint.root}
    there = [c for c in trained.values() if all(store.has(stage) for stage in c.lineage)]
    adapters = (
        Adapter(name=served_name(c), folder=_exported(store, c), size=size([_adapter(store, s) for s in c.lineage]))
        for c in there
    )
    root = Checkpoint(base=plan.base, chain=plan.study.model.chain)
    return Server(
        base=plan.base,
        name=served_name(root),
        adapters=tuple(adapters),
        host=host,
        port=port,
        length=length or min(_positions(plan.base), _LENGTH),
    )


def export(plan: Plan, store: Store) -> int:
    """Write the composed adapters that are not there yet, or not as they were written; each whole or absent.

    Returns:
        How many were written.
    """
    from identity_em.training import lora

    written = 0
    for trained in plan.trained:
        checkpoint = trained.checkpoint
        folder = _exported(store, checkpoint)
        if checkpoint.root or not all(store.has(stage) for stage in checkpoint.lineage) or _whole(folder, checkpoint):
            continue
        beside = store.working(checkpoint, uuid.uuid4().hex[:8])
        lora.write_composed([store.open(stage) / _ADAPTER for stage in checkpoint.lineage], beside)
        manifests.write(beside, checkpoint, {})
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside.rename(folder)
        written += 1
    return written


def _whole(folder: Path, checkpoint: Checkpoint) -> bool:
    """Whether an export is what its manifest says; those from before they had one are not believed."""
    try:
        text = (folder / manifests.MANIFEST).read_text(encoding="utf-8")
        manifests.verify(folder, manifests.parsed(text, checkpoint.key)["files"])
    except (OSError, ValueError, KeyError, TypeError, DamagedArtefact):
        return False
    return True


def size(chain: Sequence[Path]) -> Size:
    """Rank and bytes of a chain's composed adapter, from the headers of its files alone."""
    from safetensors import safe_open

    ranks: dict[str, int] = {}
    widths: dict[str, int] = {}
    for folder in chain:
        with safe_open(str(folder / "adapter_model.safetensors"), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  a file handle, no mapping
                rows, columns = file.get_slice(name).get_shape()
                down = ".lora_A." in name
                module = name.replace(".lora_A.", ".").replace(".lora_B.", ".")
                widths[name] = columns if down else rows
                ranks[module] = ranks.get(module, 0) + (rows if down else 0)
    rank = max(ranks.values())
    return Size(rank=rank, size=4 * rank * sum(widths.values()))


def _adapter(store: Store, stage: Checkpoint) -> Path:
    return store.open(stage) / _ADAPTER


def _exported(store: Store, checkpoint: Checkpoint) -> Path:
    return (store.root / "served" / checkpoint.key).absolute()


def _positions(base: BaseModelRef) -> int:
    """How many tokens the base takes; what we serve at most where its configuration is not at hand."""
    config = Path(base.path) / "config.json"
    return int(shapes.parsed(config)["max_position_embeddings"]) if config.is_file() else _LENGTH
