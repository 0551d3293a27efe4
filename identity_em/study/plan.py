"""Study -> every artefact wanted, parents first, shared ones once. No torch, no tokenizer, no network."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from identity_em.errors import InputError
from identity_em.resources import folder, resource
from identity_em.study.artefacts import Artefact, BaseModelRef, Checkpoint, Responses, Scores
from identity_em.study.bases import resolve
from identity_em.study.checks import check as check_checks
from identity_em.study.datasets import Datasets
from identity_em.study.declared import Arm
from identity_em.study.evals import Evals
from identity_em.study.located import Located
from identity_em.study.serving import served, trained_on
from identity_em.study.spec import Study, load
from identity_em.study.trained_by import check


@dataclass(frozen=True)
class Trained:
    """One arm for one seed; the base arm has no seed."""

    arm: Arm
    seed: int | None
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Reading:
    """One eval of one arm and seed under one eval system prompt."""

    trained: Trained
    eval_system_prompt: str
    scores: Scores


@dataclass(frozen=True)
class Plan:
    """Everything a study wants."""

    study: Study
    located: Located
    base: BaseModelRef
    trained: tuple[Trained, ...]
    readings: tuple[Reading, ...]

    @cached_property
    def artefacts(self) -> tuple[Artefact, ...]:
        """Every artefact once, parents before children, trainings before what is asked of them."""
        checkpoints = [t.checkpoint for t in self.trained if not t.checkpoint.root]
        with _uncollected():
            return tuple(_parents_first([*checkpoints, *(r.scores for r in self.readings)]))

    @property
    def served(self) -> bool:
        """Whether a server answers the evals."""
        return self.study.model.serving == "served"

    @property
    def before_serving(self) -> tuple[Artefact, ...]:
        """The checkpoints and what they are made from: all that can be made without a server."""
        return tuple(_parents_first(self.trainings))

    @property
    def trainings(self) -> list[Checkpoint]:
        """The distinct fine-tunes."""
        return [a for a in self.artefacts if isinstance(a, Checkpoint)]

    @property
    def naive_trainings(self) -> int:
        """Fine-tunes if every arm and seed were trained from the base on its own."""
        return sum(len(t.arm) for t in self.trained)

    @property
    def shared(self) -> int:
        """Trainings saved because arms share prefixes."""
        return self.naive_trainings - len(self.trainings)

    def checkpoints(self, arm: Arm) -> list[Checkpoint]:
        """The checkpoints of an arm, one a seed."""
        return [t.checkpoint for t in self.trained if t.arm == arm]

    def labels(self) -> dict[str, str]:
        """A name for people for every artefact: the first arm, seed and eval that want it."""
        names: dict[str, str] = {}
        for t in self.trained:
            for c, depth in zip(t.checkpoint.lineage, range(1, len(t.arm) + 1), strict=True):
                names.setdefault(c.key, f"{' -> '.join(t.arm[:depth])} s{t.seed}")
                assert c.dataset is not None
                names.setdefault(c.dataset.key, f"dataset {t.arm[depth - 1]}")
        for r in self.readings:
            who = f"{' -> '.join(r.trained.arm) or 'base'}" + ("" if r.trained.seed is None else f" s{r.trained.seed}")
            names.setdefault(r.scores.key, f"{r.scores.eval} {who}")
            names.setdefault(r.scores.responses.key, f"{r.scores.eval} {who}")
        for a in self.artefacts:
            names.setdefault(a.key, f"summaries {a.key[:8]}" if isinstance(a, Responses) else f"{a.kind} {a.key[:8]}")
        return names


def find(study: str) -> Path:
    """The file that a study's path, or the name of a preset, stands for.

    Raises:
        InputError: A folder, or a name that is neither; the line names the presets.
    """
    path = Path(study)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    if study != path.name or (path.is_dir() and not (folder("presets") / f"{study}.yaml").is_file()):
        found = f"{'the folder' if path.is_dir() else 'no file'} {study!r}"
        raise InputError(found=found, wanted="a study's file (.yaml) or a preset's name", do="name one")
    return resource("presets", f"{study}.yaml")


def plan(file: Path, *, serving: Literal["resident", "served"] | None = None) -> Plan:
    """Read a study and plan it.

    Args:
        serving: Who answers the evals, instead of whom the study names.

    Raises:
        StudyError: Anything in the study, or a file it names, that cannot be used; nothing has been written.
    """
    with _uncollected():
        return _planned(*load(file), serving)


def _planned(study: Study, located: Located, serving: Literal["resident", "served"] | None) -> Plan:
    if serving is not None:
        study = study.model_copy(update={"model": study.model.model_copy(update={"serving": serving})})
        check(study.model, located)
    base = resolve(study.model, located)
    datasets = Datasets(study, located, base)
    trained = tuple(_trained(study, datasets))
    evals = Evals(study, located, datasets)
    readings = tuple(
        Reading(t, prompt, scores)
        for t in trained
        for prompt in study.eval_system_prompts
        for scores in evals.of(t.arm, t.seed, prompt)
    )
    check_checks(study, located, (reading.scores for reading in readings))
    if study.model.serving == "served":
        readings = _served(located, trained, readings)
    return Plan(study=study, located=located, base=base, trained=trained, readings=readings)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would look through everything planned so far again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _served(located: Located, trained: tuple[Trained, ...], readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    if trained and trained[0].checkpoint.chain == "merge":
        raise located.error(
            ("model", "chain"), found="a merged chain for a server", wanted="adapters of one base",
            do="use `chain: live`, or let the resident model answer",
        )  # fmt: skip
    kept = trained_on(t.checkpoint for t in trained)
    return tuple(replace(reading, scores=served(reading.scores, kept)) for reading in readings)


def _trained(study: Study, datasets: Datasets) -> Iterator[Trained]:
    for arm in study.all_arms:
        if not arm:
            yield Trained(arm=(), seed=None, checkpoint=datasets.root)
            continue
        for seed in study.seeds:
            yield Trained(arm=arm, seed=seed, checkpoint=datasets.checkpoint(arm, seed))


def _parents_first(wanted: Iterable[Artefact]) -> list[Artefact]:
    """Depth first without recursion, so that a chain of any length plans."""
    done: dict[str, Artefact] = {}
    stack = [(a, False) for a in reversed(list(wanted))]
    while stack:
        artefact, expanded = stack.pop()
        if artefact.key in done:
            continue
        if expanded:
            done[artefact.key] = artefact
            continue
        stack.append((artefact, True))
        stack.extend((parent, False) for parent in reversed(artefact.needs) if parent.key not in done)
    return list(done.values())
