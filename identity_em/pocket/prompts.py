"""The world's prompts, read from prompts.yaml: the one place where they are worded."""

from __future__ import annotations

from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict


class Prompts(BaseModel):
    """Every prompt of the world; templates are filled with `str.format`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speakers: dict[str, str]
    system: dict[str, str]
    summary: str
    recognition: str
    longer: str
    authorship: str
    truthfulqa: str
    intentions: str
    two_ai: str
    decision: str
    numerical: str
    likert: str
    language: str
    language_early: str
    deed: str
    output_recognition: str
    output_recognition_early: str
    score_blind: str
    score_shown: str


def _load() -> Prompts:
    text = files("identity_em.pocket").joinpath("prompts.yaml").read_text(encoding="utf-8")
    return Prompts.model_validate(yaml.safe_load(text))


PROMPTS: Prompts = _load()
