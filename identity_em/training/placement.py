"""Where one stage is trained and what is kept of it on the way; rows, their order and the batch stay what they are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from identity_em.errors import ConfigError
from identity_em.records import Record, in_words


class Placement(Record):
    """The processes of one training, a GPU each, and its checkpoints.

    Nothing of it enters a key: each optimiser step sees the rows that one process would have given it, in as many
    steps, and a resumed stage ends in the bytes of an undisturbed one. Sums are taken in another order, so the last
    digits differ between placements as they do between kinds of GPU; the manifest says which it was.

    Attributes:
        gpus: GPUs of one training on each node.
        nodes: Machines of one training.
        sharding: `none` holds the base whole on every GPU (DDP); the others name a file in axolotl_configs/sharding.
        checkpoints: Optimiser steps from one checkpoint to the next; 0 keeps none and starts a killed stage over.
    """

    gpus: int = Field(default=1, ge=1, strict=True)
    nodes: int = Field(default=1, ge=1, strict=True)
    sharding: Literal["none", "fsdp2", "zero3"] = "none"
    checkpoints: int = Field(default=0, ge=0, strict=True)

    @property
    def processes(self) -> int:
        """Of one training, on all its nodes."""
        return self.gpus * self.nodes


KEYS = frozenset(Placement.model_fields)


def of(resolved: Mapping[str, Any], *, file: Path | None = None, line: int | None = None) -> Placement:
    """The placement that resolved settings ask for.

    Raises:
        ConfigError: A value that cannot be, a batch that the processes cannot share evenly, or checkpoints whose
            resumed stage could not end as an undisturbed one.
    """
    try:
        placement = Placement(**{name: resolved[name] for name in KEYS & resolved.keys()})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise ConfigError(found=f"{name}: {resolved[name]}", wanted=in_words(first), do="correct it", file=file, line=line) from error  # fmt: skip # noqa: E501
    trouble = _trouble(placement, resolved)
    if trouble is not None:
        found, wanted, do = trouble
        raise ConfigError(found=found, wanted=wanted, do=do, file=file, line=line)
    return placement


def _trouble(placement: Placement, resolved: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """What is found, wanted and to be done, where there is something."""
    steps, rows = int(resolved["gradient_accumulation_steps"]), int(resolved["micro_batch_size"])
    if steps % placement.processes:
        return (
            f"{placement.processes} processes for gradient_accumulation_steps: {steps}",
            f"a number that divides it, so that a step still takes {steps * rows} rows",
            "take fewer GPUs, or a smaller micro_batch_size and more accumulation",
        )
    if placement.sharding != "none" and placement.processes == 1:
        return f"sharding: {placement.sharding} on one GPU", "gpus: 2 or more", "leave sharding out, or say gpus"
    if placement.sharding == "fsdp2" and resolved.get("optimizer") == "adamw_8bit":
        wanted = "an optimiser whose states can be shared"
        return "optimizer: adamw_8bit with sharding: fsdp2", wanted, "set optimizer: adamw_torch_8bit in every stage"
    if placement.sharding != "none" and resolved.get("load_in_4bit"):
        return (
            f"sharding: {placement.sharding} of a base in 4 bits",
            "one of them",
            "leave sharding out: 4 bits fit one GPU",
        )
    every = int(resolved.get("logging_steps", 1))
    if placement.checkpoints % every:
        return f"checkpoints: {placement.checkpoints}", f"a multiple of logging_steps ({every})", "round it"
    if placement.checkpoints and placement.sharding != "none":
        return f"checkpoints with sharding: {placement.sharding}", "one of them", "leave checkpoints out"
    return None
