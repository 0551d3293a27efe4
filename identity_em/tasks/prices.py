"""What tokens cost, a judge's and a hosted model's: a dated table, the user's own before it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from identity_em.errors import DataError
from identity_em.records import Record

OWN = "IDENTITY_EM_PRICES"
_SHIPPED = Path(__file__).with_name("prices.yaml")


class Price(Record):
    """Dollars per million tokens; `training` for each token of each epoch, where the model can be trained."""

    input: float
    output: float
    training: float | None = None

    def of(self, input: int, output: int) -> float:
        """Dollars for so many tokens."""
        return (self.input * input + self.output * output) / 1e6


class Prices(Record):
    """A table of prices.

    Attributes:
        as_of: When they were read.
        models: By Inspect's model name; one that ends in "/" stands for a whole provider.
    """

    as_of: str
    models: dict[str, Price]


def price(model: str) -> tuple[Price, str] | None:
    """What a model's tokens cost and when that was read; None where no table says.

    Raises:
        DataError: The user's own table cannot be read.
    """
    return next(_found(model), None)


def training(base: str) -> tuple[float, str] | None:
    """Dollars per million training tokens of a base of the API and when that was read; None where no table says.

    Raises:
        DataError: The user's own table cannot be read.
    """
    found = _found(f"openai/{base}")
    return next(((price.training, as_of) for price, as_of in found if price.training is not None), None)


def training_usd(base: str, tokens: int) -> float | None:
    """Dollars for training on so many tokens, epochs counted; None where no table says."""
    found = training(base)
    return None if found is None else found[0] * tokens / 1e6


def asking(model: str) -> Price | None:
    """What tokens of a model of the API cost, a fine-tuned one by its base; None where no table says."""
    found = price("openai/" + ":".join(model.split(":")[:2]))
    return None if found is None else found[0]


def _found(model: str) -> Iterator[tuple[Price, str]]:
    own = os.environ.get(OWN)
    for path in (*([Path(own)] if own else []), _SHIPPED):
        table = _read(path)
        yield from ((found, table.as_of) for name, found in table.models.items() if _stands_for(name, model))


def _stands_for(name: str, model: str) -> bool:
    """Whether the model is the one named, a dated version of it, or of the provider named."""
    if name.endswith("/"):
        return model.startswith(name)
    return re.fullmatch(re.escape(name) + r"(-\d[\d-]*)?", model) is not None


@cache
def _read(path: Path) -> Prices:
    """Read once a process: a price is asked for with every request."""
    try:
        return Prices.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise DataError(
            found=f"no table of prices ({first})", wanted="as_of: DATE, models: {NAME: {input, output}}",
            do=f"mend it, or leave {OWN} out", file=path,
        ) from error  # fmt: skip
