"""What the makers of one run work with, wherever they run."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Means:
    """Programs, servers and money of one run; nothing of it enters a key.

    Attributes:
        trainer: Python of Axolotl's environment; None finds it, or needs none where nothing is to be trained.
        served: Address of the server that answers what is planned as served.
        budget: Dollars that the study may cost in all, earlier runs included; None for no bound.
        retry: Whether what failed or was refused before is tried once more.
        purse: Where what is left of the budget is kept, for all workers together.
        batch: Whether a hosted model is asked through the Batch API.
    """

    trainer: Path | None = None
    served: str | None = None
    budget: float | None = None
    retry: bool = False
    purse: Path | None = None
    batch: bool = False


@dataclass(frozen=True)
class Hosts:
    """Where the makers of one run work.

    Attributes:
        workers: Worker processes on this machine; None: one for each training's GPUs, else one a core and at most
            four, which is as many as a laptop's memory holds.
        address: `HOST:PORT` of a Ray cluster's head, or "auto" for the cluster that this host is in; None: this
            machine alone.
    """

    workers: int | None = None
    address: str | None = None
