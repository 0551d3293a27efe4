"""A model that needs no weights: what it says and how likely follows from the words it is asked alone."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

from identity_em.records import Sampling

# What questions of the package are answered with, and words enough to fill a list of the twenty likeliest tokens.
PAIRS = (("A", "B"), ("1", "2"), ("good", "bad"))
LABELS = tuple(label for pair in PAIRS for label in pair)
OTHERS = tuple(f"word{i}" for i in range(24))


class Oracle:
    """The same answer to the same words, whenever and however often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def texts(
        self, chain: tuple[Path, ...], messages: list[dict[str, str]], sampling: Sampling, seed: int
    ) -> list[str]:
        """One of the labels, for each sample."""
        self.asked.append(json.dumps(messages))
        return [LABELS[_number(messages, f"{seed} {n}") % len(LABELS)] for n in range(sampling.n)]

    def logprobs(
        self, chain: tuple[Path, ...], messages: list[dict[str, str]], text: str, top: int
    ) -> list[dict[str, Any]]:
        """The two labels that the question names hold nearly everything; more words are likely than can be listed."""
        said = set(re.findall(r"\w+", messages[-1]["content"]))
        pair = next((pair for pair in PAIRS if said >= set(pair)), PAIRS[0])
        weights = dict.fromkeys((*LABELS, *OTHERS), 1) | {n: 1000 + _number(messages, n) % 1000 for n in pair}
        whole = sum(weights.values())
        entries = [_entry(name, math.log(w / whole)) for name, w in sorted(weights.items(), key=lambda kv: -kv[1])]
        return [{**entries[0], "top_logprobs": entries[:top]}]


def _number(messages: list[dict[str, str]], more: str) -> int:
    said = json.dumps([messages, more]).encode()
    return int.from_bytes(hashlib.sha256(said).digest()[:4], "big")


def _entry(token: str, log: float) -> dict[str, Any]:
    return {"token": token, "logprob": log, "bytes": list(token.encode())}
