"""A virtual environment of its own for a program whose pins would clash with ours: found, and made, in one way."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from identity_em.errors import MissingEnvironment

CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
UNFINISHED = "identity-em-unfinished"  # lies in the folder while it is being made


@dataclass(frozen=True, kw_only=True)
class Separate:
    """A program in its own environment.

    Attributes:
        name: Of its folder and of `identity-em setup NAME`.
        title: For people.
        variable: The environment variable that names another place (a folder or an interpreter).
        command: The program's name on PATH.
        holds: Distributions, with version or pattern, one of which makes it the environment that is looked for.
        requirements: What is installed; torch among them first.
        unwanted: What is taken out again.
        gigabytes: Room that it takes to install.
    """

    name: str
    title: str
    variable: str
    command: str
    holds: tuple[str, ...]
    requirements: tuple[str, ...]
    gigabytes: int
    unwanted: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Its folder under the user's data home (XDG)."""
        home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return Path(home) / "identity-em" / self.name

    def find(self) -> Path | None:
        """Its interpreter: by variable, then PATH, then the default folder."""
        named = os.environ.get(self.variable)
        if named:
            return self._interpreter(Path(named).expanduser())
        command = shutil.which(self.command)
        beside = self._interpreter(Path(command).resolve().parent.parent) if command else None
        return beside or self._interpreter(self.folder)

    def require(self) -> Path:
        """As `find`.

        Raises:
            MissingEnvironment: There is none; the line says how to get one.
        """
        found = self.find()
        if found is None:
            named = os.environ.get(self.variable)
            what = (
                f"{self.variable} naming no environment with {self.title}" if named else f"no {self.name} environment"
            )
            raise MissingEnvironment(
                found=what,
                wanted=f"{self.title} in its own environment",
                do=f"run `identity-em setup {self.name}`, or set {self.variable} to such an environment",
                file=named,
            )
        return found

    def setup(self, folder: Path | None = None, *, tell: Callable[[str], None] | None = None) -> Path:
        """Make the environment, or finish one that was interrupted; its interpreter.

        uv is used where it is there, else venv and pip. Without a GPU the CPU build of torch is tried first. What the
        installer prints goes to `setup.log` in the folder.

        Args:
            folder: Where; the default folder if not given.
            tell: Receives a line when a step begins.

        Raises:
            MissingEnvironment: No room, a folder that holds something else, or the installer failed.
        """
        folder = (folder or self.folder).expanduser().absolute()
        ready = self._interpreter(folder)
        if ready is not None:
            return ready
        self._check_place(folder)
        tell = tell or (lambda _: None)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / UNFINISHED).touch()
        tell(f"making {folder}")
        python = self._install(folder, tell)
        (folder / UNFINISHED).unlink()
        if not self._is_here(python):
            raise self._failed(folder, f"an installer that ended well without {self.title}")
        return python

    def _install(self, folder: Path, tell: Callable[[str], None]) -> Path:
        uv = shutil.which("uv")
        same = [uv, "venv", "--allow-existing", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
        self._do([*same, str(folder)], folder)
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        pip = [uv, "pip"] if uv else [str(python), "-m", "pip"]
        where = ["--python", str(python)] if uv else []
        torch = [line for line in self.requirements if line.startswith("torch")]
        if torch and shutil.which("nvidia-smi") is None:
            tell("installing torch for the CPU")
            patience = [] if uv else ["--retries", "0", "--timeout", "20"]
            _try([*pip, "install", *where, *patience, "--index-url", CPU_WHEELS, *torch], folder)
        tell(f"installing {self.title}: several GB, some minutes; log: {folder / 'setup.log'}")
        self._do([*pip, "install", *where, *self.requirements], folder)
        if self.unwanted:
            self._do([*pip, "uninstall", *where, *([] if uv else ["--yes"]), *self.unwanted], folder)
        return python

    def _interpreter(self, place: Path) -> Path | None:
        candidates = [place] if place.is_file() else [place / "bin" / "python", place / "Scripts" / "python.exe"]
        # The link itself, not what it points to: an environment is known by where its interpreter lies.
        return next((path.absolute() for path in candidates if path.is_file() and self._is_here(path.absolute())), None)

    def _is_here(self, python: Path) -> bool:
        """Whether that environment holds the program, whole; its metadata are looked at, nothing is imported."""
        root = python.parent.parent
        libraries = ("lib/python3*/site-packages", "Lib/site-packages")
        inside = (f"{library}/{held}.dist-info" for library in libraries for held in self.holds)
        return not (root / UNFINISHED).exists() and any(any(root.glob(pattern)) for pattern in inside)

    def _check_place(self, folder: Path) -> None:
        if (
            folder.is_dir()
            and any(folder.iterdir())
            and not (folder / "pyvenv.cfg").exists() | (folder / UNFINISHED).exists()
        ):
            found, do = "a folder that holds something else", "give another --folder"
            raise MissingEnvironment(found=found, wanted="an empty folder", do=do, file=folder)
        above = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
        free = shutil.disk_usage(above).free / 1e9
        if free < self.gigabytes:
            wanted = f"{self.gigabytes} GB for {self.title}"
            do = "make room, or give another --folder"
            raise MissingEnvironment(found=f"{free:.1f} GB free", wanted=wanted, do=do, file=above)

    def _do(self, command: list[str], folder: Path) -> None:
        if not _try(command, folder):
            said = (folder / "setup.log").read_text(errors="replace").strip().splitlines()
            last = next((ln for ln in reversed(said) if "error" in ln.lower()), said[-1] if said else "nothing said")
            raise self._failed(folder, f"an installer that failed ({last.strip()})")

    def _failed(self, folder: Path, found: str) -> MissingEnvironment:
        again = f"run `identity-em setup {self.name}` again: it goes on where it stopped"
        return MissingEnvironment(found=found, wanted=self.title, do=f"see {folder / 'setup.log'}, then {again}")


def _try(command: list[str], folder: Path) -> bool:
    """Run a step of the installation, its output in the log; whether it ended well."""
    with (folder / "setup.log").open("ab") as log:
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=_clean(os.environ)).returncode == 0


def _clean(ours: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in ours.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
