"""What tests of several wings share."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long` runs the tests that take minutes."""
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of real Axolotl and vLLM are skipped, saying so, without their environment; long ones unasked."""
    if not config.getoption("--long"):
        for item in items:
            if "long" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="minutes long: run with --long (make test-long)"))
    from identity_em.training.environment import TRAINER, VLLM

    for keyword, needed in (("axolotl", TRAINER), ("vllm", VLLM)):
        if needed.find() is None:
            mark = pytest.mark.skip(reason=f"no {needed.name} environment: run `identity-em setup {needed.name}`")
            for item in items:
                if keyword in item.keywords:
                    item.add_marker(mark)


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of reference material."""
    place = os.environ.get("IDENTITY_EM_REFERENCE")
    if not place:
        pytest.skip("IDENTITY_EM_REFERENCE is not set")
    return Path(place)
