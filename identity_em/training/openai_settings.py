"""Settings of a stage that the OpenAI API trains: four of them, each checked; planning needs no client."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from identity_em.errors import ConfigError

AUTO: Final = "auto"
SUFFIX: Final = "suffix"
# Source: the API's reference of fine-tuning jobs (hyperparameters, suffix).
_WHOLE: Final[Mapping[str, int]] = {"n_epochs": 50, "batch_size": 256}
_RATE: Final = "learning_rate_multiplier"
_LONGEST_SUFFIX: Final = 64
KEYS: Final = (*_WHOLE, _RATE, SUFFIX)
# What "auto" is taken for where tokens and dollars are estimated; the API decides by the size of the data.
AUTO_EPOCHS: Final = 3
_AUTO_SHARE: Final = 0.002
# What a row counts beside its texts. Source: OpenAI's cookbook, "How to count tokens with tiktoken" (messages).
TURN_TOKENS: Final = 4
ROW_TOKENS: Final = 3


def settings(
    overrides: Mapping[str, object] | None = None, *, file: Path | None = None, line: int | None = None
) -> tuple[dict[str, Any], str]:
    """The hyperparameters of a stage, "auto" where nothing is said, and the suffix of its model's name.

    Raises:
        ConfigError: A key that the API does not know, or a value that it does not take.
    """
    given = dict(overrides or {})
    for name, value in given.items():
        if name not in KEYS:
            wanted = f"one of {', '.join(KEYS)}"
            raise ConfigError(found=f"setting {name!r}", wanted=wanted, do="correct the key", file=file, line=line)
        wanted = _wanted(name, value)
        if wanted:
            raise ConfigError(found=f"{name}: {value}", wanted=wanted, do="mend the value", file=file, line=line)
    suffix = str(given.pop(SUFFIX, ""))
    return {name: given.get(name, AUTO) for name in (*_WHOLE, _RATE)}, suffix


def _wanted(name: str, value: object) -> str:
    """What the value should have been; "" where it is."""
    if name == SUFFIX:
        fits = isinstance(value, str) and 0 < len(value) <= _LONGEST_SUFFIX
        return "" if fits else f"a text of at most {_LONGEST_SUFFIX} characters"
    if value == AUTO:
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name == _RATE:
        return "" if number and float(str(value)) > 0 else f"a number above 0, or {AUTO}"
    whole = isinstance(value, int) and number and 1 <= value <= _WHOLE[name]
    return "" if whole else f"a whole number from 1 to {_WHOLE[name]}, or {AUTO}"


def epochs(resolved: Mapping[str, Any]) -> int:
    """Passes over the rows, estimated where the API decides."""
    return AUTO_EPOCHS if resolved["n_epochs"] == AUTO else int(resolved["n_epochs"])


def batch(resolved: Mapping[str, Any], rows: int) -> int:
    """Rows a step, estimated where the API decides."""
    size = resolved["batch_size"]
    return min(_WHOLE["batch_size"], max(1, round(rows * _AUTO_SHARE))) if size == AUTO else int(size)
