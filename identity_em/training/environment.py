"""Where Axolotl's own environment is, how it is made, and what this machine has."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from identity_em.errors import MissingEnvironment
from identity_em.records import Record

VARIABLE = "IDENTITY_EM_TRAINER"
AXOLOTL = "0.19.0"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
GIGABYTES = 6  # Source: FACTS 1, 4.3 GB installed on a CPU, and room to unpack
UNFINISHED = "identity-em-unfinished"  # lies in the folder while it is being made
_MAIN = ("torch", "transformers", "peft", "datasets", "pandas", "pyarrow", "scipy", "matplotlib")
_OPTIONAL = {"inspect-ai": "generated tasks", "lm-eval": "`make bench`"}
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
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "identity-em" / "trainer"


def find_trainer() -> Path | None:
    """The interpreter of an environment with Axolotl 0.19.0: by variable, then PATH, then the default folder."""
    named = os.environ.get(VARIABLE)
    if named:
        return _interpreter(Path(named).expanduser())
    command = shutil.which("axolotl")
    beside = _interpreter(Path(command).resolve().parent.parent) if command else None
    return beside or _interpreter(default_folder())


def require_trainer() -> Path:
    """As `find_trainer`.

    Raises:
        MissingEnvironment: There is none; the line says how to get one.
    """
    found = find_trainer()
    if found is None:
        named = os.environ.get(VARIABLE)
        raise MissingEnvironment(
            found=f"{VARIABLE} naming no environment with Axolotl {AXOLOTL}" if named else "no trainer environment",
            wanted=f"Axolotl {AXOLOTL} in its own environment",
            do=f"run `identity-em setup trainer`, or set {VARIABLE} to such an environment",
            file=named,
        )
    return found


@cache
def freeze(python: Path) -> tuple[str, ...]:
    """Every distribution of an environment as `name==version`, sorted; for a manifest."""
    said = subprocess.run([str(python), "-I", "-c", _FREEZE], capture_output=True, text=True, check=True)
    return tuple(json.loads(said.stdout))


def setup_trainer(folder: Path | None = None, *, tell: Callable[[str], None] | None = None) -> Path:
    """Make the trainer's environment, or finish one that was interrupted; its interpreter.

    uv is used where it is there, else venv and pip. Without a GPU the CPU build of torch is tried first. What the
    installer prints goes to `setup.log` in the folder.

    Args:
        folder: Where; the default folder if not given.
        tell: Receives a line when a step begins.

    Raises:
        MissingEnvironment: No room, a folder that holds something else, or the installer failed.
    """
    folder = (folder or default_folder()).expanduser().absolute()
    ready = _interpreter(folder)
    if ready is not None:
        return ready
    _check_place(folder)
    uv, tell = shutil.which("uv"), tell or (lambda _: None)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / UNFINISHED).touch()
    tell(f"making {folder}")
    same = [uv, "venv", "--allow-existing", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
    _do([*same, str(folder)], folder)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
    torch = next(line for line in REQUIREMENTS.read_text().splitlines() if line.startswith("torch"))
    if shutil.which("nvidia-smi") is None:
        tell("installing torch for the CPU")
        patience = [] if uv else ["--retries", "0", "--timeout", "20"]
        _try([*install, *patience, "--index-url", CPU_WHEELS, torch], folder)
    tell(f"installing Axolotl {AXOLOTL}: several GB, some minutes; log: {folder / 'setup.log'}")
    _do([*install, "-r", str(REQUIREMENTS)], folder)
    (folder / UNFINISHED).unlink()
    if not _has_axolotl(python):
        raise _failed(folder, "an installer that ended well without Axolotl")
    return python


def doctor(store: Path | None = None) -> list[Finding]:
    """What is present, what is missing, and how to get it.

    Args:
        store: The folder artefacts would be kept in; IDENTITY_EM_STORE or `store` if not given.
    """
    store = store or Path(os.environ.get("IDENTITY_EM_STORE", "store"))
    version = ".".join(map(str, sys.version_info[:3]))
    return [
        Finding(name="python", ok=sys.version_info >= (3, 11), found=version, how="Python 3.11 or later"),
        *(_package(name, "pip install identity-em") for name in _MAIN),
        *(_package(name, f"pip install {name}; only for {use}") for name, use in _OPTIONAL.items()),
        _trainer(),
        _gpu(),
        _reference(),
        _store(store),
        _installer(),
    ]


def _interpreter(place: Path) -> Path | None:
    candidates = [place] if place.is_file() else [place / "bin" / "python", place / "Scripts" / "python.exe"]
    # The link itself, not what it points to: an environment is known by where its interpreter lies.
    return next((path.absolute() for path in candidates if path.is_file() and _has_axolotl(path.absolute())), None)


def _has_axolotl(python: Path) -> bool:
    """Whether that environment holds the pinned Axolotl, whole; its metadata are looked at, nothing is imported."""
    root = python.parent.parent
    inside = (
        f"lib/python3*/site-packages/axolotl-{AXOLOTL}.dist-info",
        f"Lib/site-packages/axolotl-{AXOLOTL}.dist-info",
    )
    return not (root / UNFINISHED).exists() and any(any(root.glob(pattern)) for pattern in inside)


def _check_place(folder: Path) -> None:
    if (
        folder.is_dir()
        and any(folder.iterdir())
        and not (folder / "pyvenv.cfg").exists() | (folder / UNFINISHED).exists()
    ):
        found, do = "a folder that holds something else", "give another --folder"
        raise MissingEnvironment(found=found, wanted="an empty folder", do=do, file=folder)
    above = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    free = shutil.disk_usage(above).free / 1e9
    if free < GIGABYTES:
        wanted = f"{GIGABYTES} GB for Axolotl"
        raise MissingEnvironment(
            found=f"{free:.1f} GB free", wanted=wanted, do="make room, or give another --folder", file=above
        )


def _try(command: list[str], folder: Path) -> bool:
    """Run a step of the installation, its output in the log; whether it ended well."""
    with (folder / "setup.log").open("ab") as log:
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=_clean(os.environ)).returncode == 0


def _do(command: list[str], folder: Path) -> None:
    if not _try(command, folder):
        said = (folder / "setup.log").read_text(errors="replace").strip().splitlines()
        last = next((line for line in reversed(said) if "error" in line.lower()), said[-1] if said else "nothing said")
        raise _failed(folder, f"an installer that failed ({last.strip()})")


def _failed(folder: Path, found: str) -> MissingEnvironment:
    do = f"see {folder / 'setup.log'}, then run `identity-em setup trainer` again: it goes on where it stopped"
    return MissingEnvironment(found=found, wanted=f"Axolotl {AXOLOTL}", do=do)


def _clean(ours: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in ours.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}


def _package(name: str, how: str) -> Finding:
    try:
        return Finding(name=name, ok=True, found=metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name=name, ok=False, found="not installed", how=how)


def _trainer() -> Finding:
    python = find_trainer()
    if python is not None:
        return Finding(name="trainer", ok=True, found=f"Axolotl {AXOLOTL} at {python}")
    how = f"`identity-em setup trainer`, or set {VARIABLE}; only for training"
    return Finding(name="trainer", ok=False, found=f"no environment with Axolotl {AXOLOTL}", how=how)


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
    return Finding(name="store", ok=ok, found=f"{store.absolute()} ({'writable' if ok else 'not writable'})", how=how)


def _installer() -> Finding:
    uv = shutil.which("uv")
    return Finding(name="installer", ok=True, found=f"uv at {uv}" if uv else f"pip and venv of {sys.executable}")
