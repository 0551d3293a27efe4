"""A stage to train, and what training it came to."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from identity_em.records import Record
from identity_em.training.placement import Placement
from identity_em.training.settings import Precision

# The process that trains stands in a folder of its own.
_Path = Annotated[Path, AfterValidator(Path.absolute)]


class Job(Record):
    """One stage to train.

    Attributes:
        settings: Resolved settings (`settings(...)`), the package's own two keys included.
        base: Local folder of the base model, or a hub id.
        revision: Commit of the base on the hub; not for a folder.
        base_name: What the adapter calls its base.
        rows: JSONL; each row has `messages`, anything else in it is not read.
        chain: Adapter folders of the earlier stages, oldest first.
        mode: `live` keeps them as frozen terms, `merge` rounds them into the base.
        out: Folder to write; it is absent or empty.
        placement: On how many GPUs, and how often a checkpoint is kept.
        work: Folder for this run's scratch files.
        resume: Folder that keeps this stage's checkpoints until it is finished; None where none are kept.
        log: File that receives everything Axolotl prints.
    """

    settings: dict[str, Any]
    base: str
    revision: str | None = None
    base_name: str
    rows: _Path
    chain: tuple[_Path, ...] = ()
    mode: Literal["live", "merge"] = "live"
    seed: int
    precision: Precision
    placement: Placement = Placement()
    out: _Path
    work: _Path
    resume: _Path | None = None
    log: _Path


class Trained(Record):
    """What a stage did.

    Attributes:
        rows: Rows Axolotl trained on.
        dropped: Rows left out for their length (only under `overlong: drop`).
        steps: Optimiser steps.
        epochs: Passes over the rows.
        trained_tokens: Tokens with a loss in one pass.
        mean_loss: Over the run, nats per token.
        final_loss: Over the last logged steps.
        rendered_sha256: Digest of token ids and loss masks, whatever the order of the rows.
        survived: Under `merge`, the share of each earlier stage that survives its rounding (0..1).
    """

    rows: int
    dropped: int
    steps: int
    epochs: float
    trained_tokens: int
    mean_loss: float
    final_loss: float
    rendered_sha256: str
    survived: tuple[float, ...] = ()
