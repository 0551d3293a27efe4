"""Writes the list of keys that this environment's Axolotl reads, and which of them are numbers, as JSON.

Run by file path in Axolotl's own environment when its pin is raised:
`TRAINER/bin/python -P identity_em/training/axolotl_keys.py > axolotl_configs/keys-VERSION.json`.
"""

import json
import os
import sys
from importlib.metadata import version
from types import UnionType
from typing import Any, Union, get_args, get_origin


def main() -> None:
    """Write field names, with aliases, of the top level and of one `datasets` entry; and the top level's numbers."""
    os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"
    from axolotl.utils.schemas.config import AxolotlInputConfig
    from axolotl.utils.schemas.datasets import SFTDataset

    keys = {"axolotl": version("axolotl"), "config": _names(AxolotlInputConfig), "dataset": _names(SFTDataset)}
    kinds = {name: _kinds(field.annotation) for name, field in AxolotlInputConfig.model_fields.items()}
    keys["number"] = sorted(name for name, kind in kinds.items() if float in kind and kind <= {float, int, str})
    keys["whole"] = sorted(name for name, kind in kinds.items() if kind == {int})
    sys.stdout.write(json.dumps(keys, indent=1) + "\n")


def _names(model: type) -> list[str]:
    fields = model.model_fields  # type: ignore[attr-defined]
    aliases = {alias for field in fields.values() for alias in (field.alias, field.validation_alias)}
    return sorted({*fields, *(alias for alias in aliases if isinstance(alias, str))})


def _kinds(annotation: Any) -> set[Any]:
    """The types that a field's value may have, null left out."""
    if get_origin(annotation) not in (Union, UnionType):
        return {annotation} - {type(None)}
    return {kind for part in get_args(annotation) for kind in _kinds(part)}


if __name__ == "__main__":
    main()
