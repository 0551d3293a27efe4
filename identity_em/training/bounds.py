"""Which settings are numbers, and what those may be that a plan counts with or that no training takes otherwise."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from identity_em.values import TEXT_OR_TEXTS, Value, number, or_null, whole

_UNSET: Final = "Axolotl's default"
_COUNT: Final = whole(1)
_SHARE: Final = or_null(number(least=0, most=1), _UNSET)
# A plan counts with those that may not be null.
_BOUNDS: Final[Mapping[str, Value]] = {
    "gradient_accumulation_steps": _COUNT,
    "learning_rate": number(above=0),
    "logging_steps": _COUNT,
    "lora_alpha": _COUNT,
    "lora_dropout": _SHARE,
    "lora_r": _COUNT,
    "lora_target_modules": or_null(TEXT_OR_TEXTS, _UNSET),
    "micro_batch_size": _COUNT,
    "num_epochs": number(above=0),
    "sequence_len": _COUNT,
    "warmup_ratio": _SHARE,
    "warmup_steps": or_null(whole(0), _UNSET),
    "weight_decay": or_null(number(least=0), _UNSET),
}
_WHOLE: Final = or_null(whole(), _UNSET)
_NUMBER: Final = or_null(number(), _UNSET)


def read(name: str, value: Any, *, wholes: Collection[str], numbers: Collection[str]) -> Any:
    """A number as such: YAML reads `1e-5` as a text, and one number must not have two keys. Anything else as it is.

    Args:
        name: The setting.
        wholes: The settings that are whole numbers.
        numbers: Those that are other numbers.
    """
    try:
        if name in numbers and isinstance(value, str):
            return float(value)
        if name in wholes and (isinstance(value, str) or (isinstance(value, float) and value.is_integer())):
            return int(value)
    except ValueError:
        pass
    return value


def wanted(name: str, value: object, *, wholes: Collection[str], numbers: Collection[str]) -> str:
    """What a setting's value should have been; "" where it can be. Arguments as `read`."""
    bound = _BOUNDS.get(name) or (_WHOLE if name in wholes else _NUMBER if name in numbers else None)
    return "" if bound is None or bound.fits(value) else bound.words
