"""Faults on demand: once at a certain request, or as a storm over all of them, seeded."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["429", "500", "503", "slow", "cut", "lost", "401"]


@dataclass
class Once:
    """A fault at the `nth` request (from 1) whose "METHOD path" starts with `at`, and `times` times from there.

    `cut` closes the connection before the request has done anything, `lost` after it has.
    """

    at: str
    kind: Kind
    nth: int = 1
    times: int = 1
    retry_after: float = 0.05
    seen: int = 0


@dataclass
class Storm:
    """Shares of requests that meet a fault."""

    seed: int = 0
    shares: dict[Kind, float] = field(default_factory=dict)
    at: str = ""
    retry_after: float = 0.02

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self) -> Kind | None:
        """The fault of the next request, if any."""
        place = self._random.random()
        for kind, share in self.shares.items():
            if place < share:
                return kind
            place -= share
        return None


@dataclass
class Faults:
    """Every fault that is planned."""

    once: list[Once] = field(default_factory=list)
    storm: Storm | None = None
    met: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, request: str) -> tuple[Kind, float] | None:
        """The fault that this request meets, and after how many seconds a retry is welcome."""
        with self.lock:
            for fault in self.once:
                if request.startswith(fault.at):
                    fault.seen += 1
                    if fault.nth <= fault.seen < fault.nth + fault.times:
                        self.met.append(f"{fault.kind} {request}")
                        return fault.kind, fault.retry_after
            if self.storm is not None and request.startswith(self.storm.at):
                kind = self.storm.draw()
                if kind is not None:
                    self.met.append(f"{kind} {request}")
                    return kind, self.storm.retry_after
        return None
