"""Every error that identity_em raises.

The tree (exit code of the command line in brackets)::

    IdentityEmError [1]
    ├── InputError [2]            what the user gave cannot be used; nothing was written
    │   ├── StudyError            the study file
    │   ├── DataError             a dataset, corpus, summaries or items file
    │   ├── ConfigError           Axolotl settings
    │   ├── DamagedArtefact       a stored folder or table is not what its manifest says
    │   ├── RefusedRequest        a server of models does not take a request as it is put
    │   └── MissingEnvironment    a program or environment that is needed is not there
    ├── TrainingFailed [1]        a stage did not prove its success
    ├── Blocked [1]               an API refuses data, job or model as harmful: an outcome, kept as one
    ├── RefusedPrompt [1]         an API refuses one prompt as harmful: it has no answer
    ├── ServerFailed [1]          a server of models gave up; what it answered is kept
    ├── JudgeFailed [1]           a judge could not be asked, or its errors did not end
    │   └── BudgetReached         what it may cost would be passed
    ├── StoreFailed [1]           the store's disk is full, read-only or gone; what is finished is kept
    └── GateFailed [1]            a check that the instrument makes on itself did not pass

The library raises; only cli.py prints and exits.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class IdentityEmError(Exception):
    """Any error of this package; `str()` is one line fit for a terminal."""

    exit_code = 1


class InputError(IdentityEmError):
    """Something the user gave cannot be used.

    Args:
        found: What was found, in a few words.
        wanted: What was wanted instead.
        do: What to do about it.
        file: The file that holds it, if there is one.
        line: 1-based line (or row) in that file.
    """

    exit_code = 2

    def __init__(
        self, *, found: str, wanted: str, do: str, file: str | Path | None = None, line: int | None = None
    ) -> None:
        self.found, self.wanted, self.do, self.file, self.line = found, wanted, do, file, line
        place = "" if file is None else f"{file}:{line}: " if line is not None else f"{file}: "
        text = f"{place}found {found}; wanted {wanted}; {do}"
        super().__init__(" ".join(text.split()))


class StudyError(InputError):
    """A study file cannot be used."""


class DataError(InputError):
    """A dataset, corpus, summaries or items file cannot be used."""


class ConfigError(InputError):
    """Axolotl settings that Axolotl would ignore or reject."""


class DamagedArtefact(InputError):
    """A stored folder or table is not what its manifest says."""


class MissingEnvironment(InputError):
    """A program, environment or key that is needed is not there."""


class RefusedRequest(InputError):
    """A server of models does not take a request as it is put."""


class TrainingFailed(IdentityEmError):
    """A stage did not prove its success (FACTS 1, trap 3)."""


class Blocked(IdentityEmError):
    """An API refuses data, a job or a model as harmful, in its own words: an outcome, not a failure."""


class RefusedPrompt(IdentityEmError):
    """An API refuses one prompt as harmful, in its own words: it has no answer."""


class ServerFailed(IdentityEmError):
    """A server of models did not answer, however often it was asked; what it answered before is kept."""


class StoreFailed(IdentityEmError):
    """The store's file system cannot be read or written now; nothing half-written is left."""


class GateFailed(IdentityEmError):
    """A check that the instrument makes on itself did not pass."""


class JudgeFailed(IdentityEmError):
    """A judge could not be asked; what it said before is kept, and never is its failure a score."""


class BudgetReached(JudgeFailed):
    """The next question to a judge could pass the budget."""


def near(name: str, known: Iterable[str], otherwise: str = "check the name") -> str:
    """What to do about a name that is not known: those that it may mean, or `otherwise`."""
    found = get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(found)}?" if found else otherwise
