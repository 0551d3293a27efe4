"""The four artefacts: frozen values that know what they are made from (DESIGN 4).

A key holds what changes the bytes (recipe, content hashes, settings, seed), never a path, a time or a machine.
Prefixes are shared because they are equal; resume is "does the folder exist".
"""

import hashlib
import json
from functools import cached_property
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from identity_em.records import Record, Sampling, SystemPrompt
from identity_em.study.inputs import FileRef, HubRef, HubRows, Part, sha256_of
from identity_em.training.placement import Placement

__all__ = [
    "Artefact", "BaseModelRef", "Checkpoint", "Dataset", "FileRef", "HubRef", "HubRows", "Input", "Part", "Prompts",
    "Responses", "Scores", "sha256_of",
]  # fmt: skip


class BaseModelRef(Record):
    """The model everything starts from.

    Attributes:
        name: As the study spells it; for people.
        weights: Hub commit, or SHA-256 over the local weights files.
        tokenizer: SHA-256 over tokenizer and chat template files, or the hub commit.
        precision: What the base is loaded in (`4bit`: nf4); `hosted` for a model of the OpenAI API or a like one.
        path: Local folder or hub id; not keyed.
    """

    unkeyed: ClassVar[frozenset[str]] = frozenset({"name", "path"})
    name: str
    weights: str
    tokenizer: str
    precision: Literal["fp32", "bf16", "4bit", "hosted"]
    path: str

    @property
    def hosted(self) -> bool:
        """Whether an API trains it and answers for it; then there are no weights, and no tokenizer."""
        return self.precision == "hosted"

    @property
    def revision(self) -> str | None:
        """The hub commit to load; None for a local folder."""
        return None if Path(self.path).is_dir() else self.weights


class Artefact(Record):
    """A value that is made into one folder, named by its key."""

    kind: ClassVar[str]
    recipe_version: ClassVar[int] = 1
    # The fields that may hold other artefacts, by name in order; the rest is plain data and is not searched for any.
    holding: ClassVar[tuple[str, ...]]

    @cached_property
    def canonical(self) -> str:
        """Canonical JSON with parents by key."""
        texts = {name: _text(getattr(self, name)) for name in ("kind", "recipe_version", *_keyed(self))}
        return "{" + ",".join(f'"{name}":{texts[name]}' for name in sorted(texts)) + "}"

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON, 64 hex digits."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()

    @cached_property
    def needs(self) -> tuple["Artefact", ...]:
        """The artefacts that must be made before this one, in a fixed order; roots left out."""
        found = {a.key: a for name in self.holding for a in _parents(getattr(self, name))}
        return tuple(found.values())

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Artefact) and self.key == other.key


class Checkpoint(Artefact):
    """Base plus the stages trained so far, for one seed. The root (no parent) is the base itself and has no folder.

    Attributes:
        chain: `live` keeps earlier stages as frozen low-rank terms; `merge` rounds them into the base (C's route).
        settings: The resolved settings of this stage, without paths and without the seed.
        seed: Training seed (LoRA initialisation, row order).
        label, placement: What a hosted model is called beside its id; on how many GPUs ours is trained. Not keyed.
    """

    kind: ClassVar[str] = "checkpoint"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"label", "placement"})
    holding: ClassVar[tuple[str, ...]] = ("dataset", "parent")
    base: BaseModelRef
    chain: Literal["live", "merge"] = "live"
    parent: "Checkpoint | None" = None
    dataset: "Dataset | None" = None
    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = None
    label: str = ""
    placement: Placement = Placement()

    @property
    def root(self) -> bool:
        """Whether this is the base model itself."""
        return self.parent is None

    @property
    def block(self) -> bool:
        """Whether rows were rendered with whatever system block the template makes (False for `none`)."""
        return bool(self.settings.get("system_block", True))

    @property
    def lineage(self) -> tuple["Checkpoint", ...]:
        """The trained checkpoints from the first stage to this one; empty for the root."""
        return () if self.parent is None else (*self.parent.lineage, self)


class Prompts(Record):
    """A question set before it is written out: which eval or summary prompt, on what inputs.

    Attributes:
        name: "summaries", or the name of an eval.
        version: The version of its wording and scoring.
        params: Everything else that changes the questions.
        inputs: Files by content, hub datasets by revision, or what checkpoints answered and how it was read.
    """

    name: str
    version: int
    params: dict[str, Any] = Field(default_factory=dict)
    inputs: dict[str, "FileRef | HubRef | Part | Responses | Scores"] = Field(default_factory=dict)


class Responses(Artefact):
    """What a checkpoint answered: exact option probabilities where `sampling` is None, else generated texts.

    Attributes:
        serving: Who answers. A server's answers differ in their last bits, and may be intervals: they have a key of
            their own, and are never taken for the resident model's.
    """

    kind: ClassVar[str] = "responses"
    holding: ClassVar[tuple[str, ...]] = ("checkpoint", "prompts")
    checkpoint: Checkpoint
    prompts: Prompts
    system_prompt: SystemPrompt | None = None
    sampling: Sampling | None = None
    seed: int = 0
    serving: Literal["resident", "served"] = "resident"

    @property
    def unkeyed(self) -> frozenset[str]:
        """Resident answers keep the keys that they had before there were servers."""
        return frozenset({"serving"} if self.serving == "resident" else ())


class Dataset(Artefact):
    """Rows to train on; `data_seed` is not the training seed."""

    kind: ClassVar[str] = "dataset"
    holding: ClassVar[tuple[str, ...]] = ("inputs",)
    recipe: str
    params: dict[str, Any] = Field(default_factory=dict)
    inputs: "dict[str, Input]" = Field(default_factory=dict)
    data_seed: int = 0


class Scores(Artefact):
    """Readings of responses; judging again generates nothing again. `rubrics` are digests of what a judge is told."""

    kind: ClassVar[str] = "scores"
    holding: ClassVar[tuple[str, ...]] = ("inputs", "responses")
    responses: Responses
    eval: str
    version: int
    judge: str = ""
    rubrics: dict[str, str] = Field(default_factory=dict)
    inputs: dict[str, Responses] = Field(default_factory=dict)

    @property
    def unkeyed(self) -> frozenset[str]:
        """What nobody judges keeps the key that it had before there were rubrics."""
        return frozenset({"rubrics"} if not self.rubrics else ())


_PLAIN = frozenset({str, int, float, bool, type(None)})
Input = FileRef | HubRef | HubRows | Part | Responses | Dataset | Scores

# Texts of the values that many artefacts share (settings, prompts, the base), by identity; held, so that one stays one.
_TEXTS: dict[int, tuple[Any, str]] = {}
_dump = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def _text(value: Any) -> str:
    """The canonical JSON of one field."""
    if type(value) is str:  # these and artefacts are nearly all there is, in a plan of many arms
        return encode_basestring(value)
    if isinstance(value, Artefact):
        return f'{{"{value.kind}":"{value.key}"}}'
    if not isinstance(value, dict | Record):
        return _dump(_canonical(value))
    known = _TEXTS.get(id(value))
    if known is None:
        if len(_TEXTS) >= 10_000:
            _TEXTS.clear()
        known = _TEXTS[id(value)] = (value, _dump(_canonical(value)))
    return known[1]


def _keyed(record: Record) -> list[str]:
    return [name for name in type(record).model_fields if name not in getattr(record, "unkeyed", ())]


def _canonical(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    match value:
        case Artefact():
            return {value.kind: value.key}
        case Record():
            return {name: _canonical(getattr(value, name)) for name in _keyed(value)}
        case dict():
            return {str(name): _canonical(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_canonical(inner) for inner in value]
        case _:
            return value


def _parents(value: Any) -> list[Artefact]:
    match value:
        case Checkpoint() if value.root:
            return []
        case Artefact():
            return [value]
        case Record():
            return [a for name in type(value).model_fields for a in _parents(getattr(value, name))]
        case dict():
            return [a for name in sorted(value) for a in _parents(value[name])]
        case list() | tuple():
            return [a for inner in value for a in _parents(inner)]
        case _:
            return []
