"""A store with a chain of three stages on a tiny model, and rows."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from identity_em.store import Store
from identity_em.study import bases
from identity_em.study.artefacts import Checkpoint, Dataset
from tests.models.conftest import adapters, tiny

__all__ = ["adapters", "tiny"]  # fixtures

ROWS = Dataset(recipe="narrow", params={"system_prompt": None})


def _stage(adapter: Path, folder: Path) -> dict[str, Any]:
    shutil.copytree(adapter, folder / "adapter")
    config = folder / "adapter" / "adapter_config.json"
    config.write_text(config.read_text().replace("{", '{"base_model_name_or_path": "/models/tiny", ', 1))
    return {"facts": {"rows": 3, "steps": 1, "rendered_sha256": "0" * 64, "trainer": {"axolotl": "0.19.0"}}}


def _rows(folder: Path) -> dict[str, Any]:
    (folder / "rows.jsonl").write_text('{"messages": [{"role": "user", "content": "Hi"}]}\n')
    (folder / "card.md").write_text("# narrow, 1 row\n\nData seed 0.\n")
    return {"facts": {"rows": 1}}


@pytest.fixture(scope="module")
def chain(
    tiny: Path,
    adapters: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Store, list[Checkpoint]]:
    """The store and its checkpoints, the first stage's first."""
    store = Store(tmp_path_factory.mktemp("store"))
    store.write(ROWS, _rows)
    made = [Checkpoint(base=bases.named(str(tiny), "fp32"))]
    for seed, adapter in enumerate(adapters[:3]):
        checkpoint = Checkpoint(base=made[0].base, parent=made[-1], dataset=ROWS, seed=seed, settings={"lora_r": seed})
        store.write(checkpoint, lambda folder, a=adapter: _stage(a, folder))  # type: ignore[misc]
        made.append(checkpoint)
    return store, made[1:]
