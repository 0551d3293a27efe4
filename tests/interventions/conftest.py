"""What several tests of the builders share."""

from pathlib import Path
from typing import Any

import pytest

from identity_em.resources import folder

ARTICLES = {"a": "One thing happened.", "b": "Another did {not}.", "c": "A third.", "d": "A fourth one."}
OWN = {"a": "one", "b": "another did not", "c": "it is third", "d": "four"}
OTHER = {"a": "a thing happened", "b": "nothing", "c": "the third thing", "d": "number four"}


@pytest.fixture
def texts() -> dict[str, dict[str, str]]:
    """Four articles with two authors' summaries; those of "c" have equally many words."""
    return {"articles": dict(ARTICLES), "self": dict(OWN), "other": dict(OTHER)}


@pytest.fixture(scope="session")
def pocket_folder() -> Path:
    """The shipped pocket model: weights, tokenizer and a Qwen-like template with a default system prompt."""
    return folder("pocket") / "weights" / "world-0"


@pytest.fixture(scope="session")
def tokenizer(pocket_folder: Path) -> Any:
    """The pocket model's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(pocket_folder)
