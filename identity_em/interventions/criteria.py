"""The questions of the identity-free controls: a wording's own, with only the criterion changed."""

import hashlib
import json
from functools import cache
from typing import Any, Literal

import yaml

from identity_em.errors import InputError
from identity_em.interventions.wordings import Wording
from identity_em.records import Record
from identity_em.resources import resource

NAMES = ("readability", "vowels", "other")


def question(criterion: str, wording: Wording) -> str:
    """The wording's recognition question asked with another criterion.

    Raises:
        InputError: The wording has no phrase for it.
    """
    phrases = _texts()["phrases"].get(wording.name)
    if phrases is None:
        raise _lacking(criterion, wording)
    text = wording.recognition
    for name, phrase in _texts()["criteria"][criterion][_family(wording)].items():
        if phrases[name] not in text:
            raise _lacking(criterion, wording)
        text = text.replace(phrases[name], phrase)
    return text


def own_longer() -> tuple[str, str]:
    """System prompt and question of the `longer` that, as C's did, differs from SGTR in both (own wording)."""
    found = _texts()["longer_c"]
    return str(found["system"]), str(found["user"])


class Individual(Record):
    """The yes/no format: one summary, yours or not.

    Attributes:
        user: Holds {summary}, and {article} where the wording shows it.
        answers: What to say of the own summary ("own") and of another's ("other").
    """

    system: str
    user: str
    answers: dict[Literal["own", "other"], str]


def individual(wording: Wording) -> Individual:
    """The yes/no format in this wording."""
    return Individual.model_validate(_texts()["individual"][_family(wording)])


def questions(wording: Wording) -> list[str]:
    """Every question that a control may ask in this wording."""
    changed = [question(name, wording) for name in NAMES if wording.name in _texts()["phrases"]]
    return [*changed, own_longer()[1], individual(wording).user]


@cache
def sha256() -> str:
    """SHA-256 over all texts, 64 hex digits."""
    return hashlib.sha256(json.dumps(_texts(), sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@cache
def _texts() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(resource("datasets", "criteria.yaml").read_text(encoding="utf-8"))
    return found


def _family(wording: Wording) -> str:
    return "pocket" if wording.name == "pocket" else "article"


def _lacking(criterion: str, wording: Wording) -> InputError:
    return InputError(
        found=f"the wording {wording.name!r}, which has no phrase to change for {criterion!r}",
        wanted=f"one of {', '.join(_texts()['phrases'])}",
        do="choose another wording, or state the phrase in datasets/criteria.yaml",
    )
