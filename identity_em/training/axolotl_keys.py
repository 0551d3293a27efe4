"""Writes the list of keys that this environment's Axolotl reads, as JSON.

Run by file path in Axolotl's own environment when its pin is raised:
`TRAINER/bin/python -P identity_em/training/axolotl_keys.py > axolotl_configs/keys-VERSION.json`.
"""

import json
import os
import sys
from importlib.metadata import version


def main() -> None:
    """Write field names, with aliases, of the top level and of one `datasets` entry."""
    os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"
    from axolotl.utils.schemas.config import AxolotlInputConfig
    from axolotl.utils.schemas.datasets import SFTDataset

    keys = {"axolotl": version("axolotl"), "config": _names(AxolotlInputConfig), "dataset": _names(SFTDataset)}
    sys.stdout.write(json.dumps(keys, indent=1) + "\n")


def _names(model: type) -> list[str]:
    fields = model.model_fields  # type: ignore[attr-defined]
    aliases = {alias for field in fields.values() for alias in (field.alias, field.validation_alias)}
    return sorted({*fields, *(alias for alias in aliases if isinstance(alias, str))})


if __name__ == "__main__":
    main()
