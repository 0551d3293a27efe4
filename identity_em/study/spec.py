"""What is asked: the study file as frozen records, every error with file and line."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictInt

from identity_em.interventions import wordings
from identity_em.records import Record, Sampling
from identity_em.study.declared import Arm, Check, Contrast, Writer
from identity_em.study.located import Located
from identity_em.study.trained_by import ModelSpec
from identity_em.study.trained_by import check as check_model

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class HubSpec(Record):
    """A dataset on the Hugging Face Hub."""

    hub: str
    revision: str
    config: str | None = None
    split: str = "train"
    id_column: str = "id"
    text_column: str = "text"
    limit: int | None = Field(default=None, ge=1)


class FileSpec(Record):
    """A file: relative to the study, or `pocket:NAME` for one of the pocket world's."""

    file: str


class NamedSpec(Record):
    """A dataset by its name in datasets/sources.toml: the user's own copy by checksum, or the Hub at a revision.

    Attributes:
        file: The copy; refused where its checksum is known and another.
        answer: For sets of matched pairs: the column of answers, `matched` for the corrected ones.
    """

    source: str
    file: str | None = None
    revision: str | None = None
    answer: Literal["own", "matched"] = "own"


Source = FileSpec | HubSpec | NamedSpec


class Corpus(Record):
    """Articles, the wording of the questions about them, and the outside authors' summaries.

    Attributes:
        part: Only the articles of this part; two corpora of one source with the same `eval_share` are disjoint.
        eval_share: Share of all articles that make the eval part.
    """

    articles: str | Source
    wording: str
    summaries: dict[str, str | Source | Writer] = Field(default_factory=dict)
    part: Literal["train", "eval", "all"] = "all"
    eval_share: float = Field(default=0.2, gt=0, lt=1)


class RecipeSpec(Record):
    """A dataset built by a recipe; further keys are the recipe's own parameters.

    Attributes:
        self: Who is "I": `base`, `current` (the checkpoint the stage starts from), an arm, or an author of the corpus.
        other: The outside author.
        of: For `narrow`, the dataset; for `mix`, the stage whose rows are the main ones.
        with: For `mix`, the stage whose rows are put between them.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)
    recipe: str
    corpus: str | None = None
    self: str | tuple[str, ...] = "base"
    other: str | None = None
    of: str | None = None
    with_: str | None = Field(default=None, alias="with")

    @property
    def params(self) -> dict[str, Any]:
        """The recipe's own parameters."""
        return dict(self.model_extra or {})


class Stage(Record):
    """One fine-tune.

    Attributes:
        system_prompt: A variant (`interventions.system_prompts.VARIANTS`) or a literal text; None is the recipe's own.
        match: For `matching`, the stage whose rendered system block is taken over; for `length_matched`, the stage
            whose prompt's length is.
        settings: Settings of this stage alone, Axolotl's or the API's.
    """

    dataset: str | RecipeSpec
    system_prompt: str | None = None
    match: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)


class Orderings(Record):
    """Two-stage arms of one stage with each of several others, before it (prevention) or after it (reversal)."""

    of: str
    with_: tuple[str, ...] = Field(alias="with")
    order: tuple[Literal["prevention", "reversal"], ...] = ("prevention", "reversal")

    @property
    def arms(self) -> list[Arm]:
        """The arms meant, prevention first."""
        made: list[Arm] = []
        for order in self.order:
            made += [(w, self.of) if order == "prevention" else (self.of, w) for w in self.with_]
        return made


class Study(Record):
    """One study file.

    Attributes:
        match_rows: Cut the stages that a contrast's arms differ in to equal rows, where nothing else is asked for.
        allow_leak: Why training rows may hold eval items; without it, `run` refuses them.
    """

    name: Name
    title: str = ""
    notes: tuple[str, ...] = ()
    model: ModelSpec
    seeds: tuple[StrictInt, ...] = Field(min_length=1)
    data_seed: StrictInt = 0
    corpora: dict[Name, Corpus] = Field(default_factory=dict)
    datasets: dict[Name, Source] = Field(default_factory=dict)
    summary_sampling: Sampling = Sampling(temperature=0.0, max_new_tokens=100)
    stages: dict[Name, Stage]
    arms: tuple[Arm, ...] = ()
    orderings: Orderings | None = None
    evals: tuple[str | dict[str, dict[str, Any]], ...] = Field(min_length=1)
    eval_system_prompts: tuple[str, ...] = Field(default=("default",), min_length=1)
    contrasts: dict[Name, Contrast] = Field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    match_rows: bool = True
    allow_leak: str | None = Field(default=None, min_length=1)

    @property
    def all_arms(self) -> tuple[Arm, ...]:
        """Every arm: those listed, then those of `orderings`."""
        return (*self.arms, *(self.orderings.arms if self.orderings else ()))

    @property
    def eval_params(self) -> list[tuple[str, dict[str, Any]]]:
        """Each eval's name and the parameters that the study gives it."""
        return [(e, {}) if isinstance(e, str) else next(iter(e.items())) for e in self.evals]


def load(file: Path) -> tuple[Study, Located]:
    """Read and check a study file.

    Returns:
        The study, and its text with places for errors found later.

    Raises:
        StudyError: The first thing that is wrong, with its line.
    """
    located = Located(file)
    study = located.parse(Study)
    check_model(study.model, located)
    _check_entries(study, located)
    _check_names(study, located)
    return study, located


def _check_entries(study: Study, located: Located) -> None:
    """Each entry of evals is one eval, and each corpus has a wording that there is."""
    for i, entry in enumerate(study.evals):
        if not isinstance(entry, str) and len(entry) != 1:
            found = f"{', '.join(entry) or 'nothing'} as one entry of evals"
            raise located.error(("evals", i), found=found, wanted="one eval an entry", do="begin each with a dash")
    for name, corpus in study.corpora.items():
        if corpus.wording not in wordings.names():
            raise located.unknown(("corpora", name, "wording"), "wording", corpus.wording, wordings.names())


def _check_names(study: Study, located: Located) -> None:
    """Every stage and arm that is named is there, and no arm or seed is listed twice."""
    for i, arm in enumerate(study.arms):
        _check_stages(study, located, arm, ("arms", i))
    if study.orderings:
        _check_stages(study, located, (study.orderings.of, *study.orderings.with_), ("orderings",))
    seen: set[Arm] = set()
    for i, arm in enumerate(study.all_arms):
        if arm in seen:
            place = ("arms", i) if i < len(study.arms) else ("orderings",)
            raise located.error(
                place,
                found=f"the arm {list(arm)} twice",
                wanted="each arm once (orderings make arms too)",
                do="remove one",
            )
        seen.add(arm)
    for key, what in (("seeds", "seed"), ("eval_system_prompts", "prompt")):
        given = getattr(study, key)
        if len(set(given)) != len(given):
            raise located.error((key,), found=f"a {what} twice", wanted=f"different {what}s", do="remove one of them")
    for name, contrast in study.contrasts.items():
        for part in ("treatment", "reference", "control"):
            arm = getattr(contrast, part)
            if arm is not None:
                _check_arm(study, located, arm, ("contrasts", name, part))
    for i, check in enumerate(study.checks):
        for arm in check.arms:
            _check_arm(study, located, arm, ("checks", i))


def _check_stages(study: Study, located: Located, arm: Arm, place: tuple[str | int, ...]) -> None:
    for stage in arm:
        if stage not in study.stages:
            raise located.unknown(place, "stage", stage, study.stages, "check the spelling or add the stage")


def _check_arm(study: Study, located: Located, arm: Arm, place: tuple[str | int, ...]) -> None:
    _check_stages(study, located, arm, place)
    if arm not in study.all_arms:
        raise located.error(
            place, found=f"the arm {list(arm)}, which the study does not train", wanted="an arm of the study",
            do="add it under arms or orderings",
        )  # fmt: skip
