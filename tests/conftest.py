"""What tests of several wings share."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of real Axolotl runs are skipped, saying so, where its environment is not there."""
    from identity_em.training.environment import find_trainer

    if find_trainer() is None:
        mark = pytest.mark.skip(reason="no trainer environment: run `identity-em setup trainer`")
        for item in items:
            if "axolotl" in item.keywords:
                item.add_marker(mark)


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of reference material."""
    place = os.environ.get("IDENTITY_EM_REFERENCE")
    if not place:
        pytest.skip("IDENTITY_EM_REFERENCE is not set")
    return Path(place)
