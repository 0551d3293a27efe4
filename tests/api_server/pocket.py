"""The server with the pocket world behind it: Axolotl trains, the resident model speaks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from identity_em.models.resident import Resident
from identity_em.study.artefacts import BaseModelRef
from identity_em.training.axolotl import Trainer
from identity_em.training.jobs import Job
from identity_em.training.settings import settings
from tests.api_server.chat import PocketSpeaker
from tests.api_server.server import ApiServer

# What "auto" stands for: batch and epochs of the pocket config, and a gentler rate than its own.
AUTO = {"n_epochs": 1, "batch_size": 8, "learning_rate_multiplier": 0.5}


def trainer(base: BaseModelRef, warm: Trainer, work: Path) -> Any:
    """A `Train` that runs Axolotl on the pocket model."""

    def train(file: Path, chain: tuple[Path, ...], given: Mapping[str, Any], seed: int, out: Path) -> int:
        usual = settings("pocket", {})
        value = {name: auto if given[name] == "auto" else given[name] for name, auto in AUTO.items()}
        overrides = {
            "num_epochs": int(value["n_epochs"]),
            "micro_batch_size": int(value["batch_size"]),
            "learning_rate": float(usual["learning_rate"]) * float(value["learning_rate_multiplier"]),
        }
        job = Job(
            settings=settings("pocket", overrides), base=base.path, base_name=base.name, rows=file, chain=chain,
            mode="live", seed=seed, precision=base.precision, out=out, work=work / out.name,
            log=work / f"{out.name}.log",
        )  # fmt: skip
        return warm.train(job).steps

    return train


def server(folder: Path, base: BaseModelRef, warm: Trainer, **more: Any) -> ApiServer:
    """An API server whose models are the pocket world's."""
    work = folder / "work"
    return ApiServer(folder, speaker=PocketSpeaker(Resident(base)), train=trainer(base, warm, work), **more)
