"""One resolver for the files that ship with the package, in a checkout and in a wheel alike."""

from pathlib import Path
from typing import Literal

from identity_em.errors import InputError, near

Folder = Literal["evals", "datasets", "axolotl_configs", "presets", "pocket"]

_PACKAGE = Path(__file__).resolve().parent
_INSIDE = {"presets": _PACKAGE / "study" / "presets", "pocket": _PACKAGE / "pocket"}


def folder(name: Folder) -> Path:
    """The folder of shipped files called `name`.

    In a wheel the data folders lie inside the package; in a checkout they lie beside it.
    """
    inside = _INSIDE.get(name, _PACKAGE / name)
    return inside if inside.is_dir() else _PACKAGE.parent / name


def resource(name: Folder, relative: str) -> Path:
    """A shipped file.

    Raises:
        InputError: There is no such file; the line names those that there are.
    """
    path = folder(name) / relative
    if path.is_file():
        return path
    there = sorted(p.stem for p in path.parent.glob(f"*{path.suffix}")) if path.parent.is_dir() else []
    raise InputError(
        found=f"no {name} file {relative!r}",
        wanted=f"one of {', '.join(there) or 'none shipped'}",
        do=near(path.stem, there),
    )
