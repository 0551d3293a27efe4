"""Whether weights are those that passed the pocket world's gate; no torch, so that every run can ask."""

import json
from pathlib import Path

from identity_em.errors import GateFailed
from identity_em.study.artefacts import sha256_of


def check(folder: Path) -> None:
    """The world in `folder` passed its gate and has not changed since.

    Raises:
        GateFailed: It did not, or has: its numbers would mean nothing, so they are not measured.
    """
    how = "make it again: python -m identity_em.pocket.pretrain"
    try:
        gate = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GateFailed(f"{folder}: no readable gate.json ({error}); {how}") from error
    if gate["failures"]:
        raise GateFailed(f"{folder}: the weights did not pass their gate ({gate['failures'][0]}); {how}")
    if gate.get("weights_sha256") != sha256_of(folder / "model.safetensors"):
        raise GateFailed(f"{folder}: the weights are not those that passed the gate; {how}")
