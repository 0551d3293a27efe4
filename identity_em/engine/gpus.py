"""This machine's GPUs, shared out among its workers; nothing here loads torch."""

import os
import shutil
import subprocess
from collections.abc import Mapping

from identity_em.errors import MissingEnvironment

VISIBLE = "CUDA_VISIBLE_DEVICES"


def here(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The GPUs that this process may use: those that CUDA_VISIBLE_DEVICES names, else all that nvidia-smi lists."""
    named = environment.get(VISIBLE)
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip() not in ("", "-1"))
    tool = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if tool is None:
        return ()
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False).stdout
    return tuple(str(number) for number, _ in enumerate(line for line in listed.splitlines() if line.startswith("GPU")))


def shares(gpus: tuple[str, ...], each: int) -> tuple[str, ...]:
    """What each worker is to see: as many disjoint groups of `each` GPUs as there are.

    Raises:
        MissingEnvironment: There are GPUs, but fewer than one worker needs.
    """
    if gpus and len(gpus) < each:
        raise MissingEnvironment(
            found=f"{len(gpus)} GPUs", wanted=f"{each} for one training", do="lower `gpus` in the study's settings"
        )
    return tuple(",".join(gpus[at : at + each]) for at in range(0, len(gpus) - each + 1, each))
