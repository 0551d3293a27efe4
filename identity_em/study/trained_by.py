"""The model of a study and who trains it: Axolotl, with a config of ours, or the OpenAI API, with four settings."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from identity_em.records import Record
from identity_em.resources import resource
from identity_em.study.located import Located, Place
from identity_em.training import openai_settings
from identity_em.training.settings import placed
from identity_em.training.settings import settings as axolotl_settings


class ModelSpec(Record):
    """The base model and how it is trained.

    Attributes:
        base: `pocket` (or `pocket-1`, `pocket-2`), a local folder, a Hugging Face id, or the API's dated name.
        revision: Commit of the Hub repository; needed for keys that mean one model.
        config: Name of a file in axolotl_configs/ whose overrides fit this base; it also says the precision. For
            Axolotl alone.
        settings: Settings of every stage: Axolotl's, or the API's.
        chain: `live` evaluates what was trained without rounding; `merge` is C's route.
        serving: Who answers the evals: this machine's `resident` model, or a server (`run --served URL`). A hosted
            model always answers through the API.
        batch: Ask a hosted model through the Batch API: half the price, within a day.
    """

    base: str
    revision: str | None = None
    trainer: Literal["axolotl", "openai"] = "axolotl"
    config: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    chain: Literal["live", "merge"] = "live"
    serving: Literal["resident", "served"] = "resident"
    batch: bool = False

    @property
    def hosted(self) -> bool:
        """Whether the API trains it and answers for it."""
        return self.trainer == "openai"


def check(model: ModelSpec, located: Located) -> None:
    """Raises StudyError where the trainer and the other keys do not fit each other."""
    idle = (
        {"config": "", "revision": None, "chain": "live", "serving": "resident"} if model.hosted else {"batch": False}
    )
    for name, value in idle.items():
        if getattr(model, name) != value:
            raise located.error(
                ("model", name), found=f"`{name}` for the trainer {model.trainer}", wanted="only what it uses",
                do=f"leave `{name}` out",
            )  # fmt: skip
    if not model.hosted and not model.config:
        raise located.error(("model",), found="no 'config' in model", wanted="'config'", do="add it")
    if not model.hosted:
        with located.at(("model", "config")):
            resource("axolotl_configs", f"{model.config}.yaml")


def stage_settings(model: ModelSpec, given: Mapping[str, Any], located: Located, place: Place) -> dict[str, Any]:
    """How a stage is trained, as fields of its checkpoint: settings, and a hosted model's label or a placement.

    Raises:
        ConfigError: A setting that the trainer does not know, or does not take.
    """
    merged, line = {**model.settings, **given}, located.line(place)
    if model.hosted:
        settings, label = openai_settings.settings(merged, file=located.file, line=line)
        return {"settings": settings, "label": label}
    return {
        "settings": axolotl_settings(model.config, merged, file=located.file, line=line),
        "placement": placed(model.config, merged, file=located.file, line=line),
    }
