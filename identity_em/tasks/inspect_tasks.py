"""Every eval as an Inspect task: `inspect eval identity_em/truthfulqa -T items=FILE --model identity_em/KEY`.

The questions, settings and readings are the eval's own, so that what a study asks and what Inspect asks are one thing.
A new eval is here as soon as `battery` knows it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.dataset import MemoryDataset
from inspect_ai.model import GenerateConfig, model_roles
from inspect_ai.model._model import active_model
from inspect_ai.viewer import ViewerConfig

from identity_em import battery
from identity_em.battery import Eval
from identity_em.errors import IdentityEmError, InputError
from identity_em.interventions import system_prompts
from identity_em.records import Question, Record, Sampling
from identity_em.resources import folder, resource
from identity_em.study.artefacts import FileRef, HubRef, Prompts, sha256_of
from identity_em.tasks import inspect_asking, judges
from identity_em.tasks.inspect_reading import readings_of


class Given(Record):
    """What a run says with -T.

    Attributes:
        inputs: The eval's inputs by name: a file, `pocket`, `pocket:FILE`, a Hub dataset, or files by author.
        judge: Who judges; "" asks the model in the role `grader`.
    """

    inputs: dict[str, Any]
    params: dict[str, Any]
    system_prompt: str = "default"
    sampling: Sampling | None = None
    seed: int = 0
    judge: str = ""


def build(found: Eval, given: Given) -> Task:
    """The eval as an Inspect task.

    Raises:
        InputError: Inputs or parameters that the eval cannot use.
    """
    judged, sampling = bool(found.rubrics), given.sampling or found.sampling
    if judged and given.judge:
        judges.check(given.judge)
    params = found.params(given.params)
    questions, block = _questions(found, given, params)
    return Task(
        name=found.name,
        version=found.version,
        dataset=MemoryDataset(
            inspect_asking.samples(questions, block=block), name=found.name, location=str(given.inputs.get("items", ""))
        ),
        setup=inspect_asking.has_grader() if judged and not given.judge else None,
        solver=inspect_asking.closed() if sampling is None else inspect_asking.opened(),
        scorer=readings_of(found, params, given.judge),
        config=inspect_asking.CLOSED if sampling is None else config_of(sampling, given.seed),
        metadata={"identity_em": {"version": found.version, "form": found.form}},
        viewer=ViewerConfig(trust_content=False),
    )


def config_of(sampling: Sampling, seed: int) -> GenerateConfig:
    """A sampling setting in Inspect's terms; what is off is not sent, since some providers refuse to hear of it."""
    return GenerateConfig(
        temperature=sampling.temperature,
        top_p=sampling.top_p if sampling.top_p < 1 else None,
        top_k=sampling.top_k or None,
        max_tokens=sampling.max_new_tokens,
        num_choices=sampling.n if sampling.n > 1 else None,
        seed=seed,
        extra_body=None if sampling.repetition_penalty == 1 else {"repetition_penalty": sampling.repetition_penalty},
    )


def _questions(found: Eval, given: Given, params: Mapping[str, Any]) -> tuple[list[Question], bool]:
    """The questions under the system prompt asked for, and whether a system block is rendered."""
    inputs = {name: _input(name, given.inputs.get(name), found) for name in found.inputs}
    refs = {n: i for n, i in inputs.items() if isinstance(i, HubRef)} | {
        n: FileRef(sha256=sha256_of(i), path=i) for n, i in inputs.items() if isinstance(i, Path)
    }
    # Whoever the role names is a model, as far as the questions are concerned.
    kept = {**params, "judge": given.judge or "role/grader"} if found.rubrics else dict(params)
    prompts = Prompts(name=found.name, version=found.version, params=kept, inputs=refs)
    questions = found.questions(prompts, {n: i for n, i in inputs.items() if not isinstance(i, HubRef)})
    if given.system_prompt == "default":
        return questions, True
    said = system_prompts.resolve(given.system_prompt, task=found.task_prompt, matching=None, wording=None)
    under = [q.model_copy(update={"messages": system_prompts.apply(q.messages, said)}) for q in questions]
    return under, said.block


def _input(name: str, given: Any, found: Eval) -> Any:
    """A file, the pocket world's own, a Hub dataset, files by author, or the eval's own items."""
    match given:
        case None:
            own = sorted((folder("evals") / found.name).glob(f"{name}.*"))
            if not own:
                raise InputError(found=f"no {name}", wanted=f"the {name} of {found.name}", do=f"give -T {name}=FILE")
            return own[0]
        case "pocket":
            return resource("pocket", f"data/{found.name}.jsonl")
        case str() if given.startswith("pocket:"):
            return resource("pocket", f"data/{given.removeprefix('pocket:')}")
        case str() if Path(given).expanduser().is_file():
            return Path(given).expanduser()
        case str():
            raise InputError(found=f"no file {given}", wanted=f"the {name} of {found.name}", do=f"mend -T {name}=FILE")
        case Mapping() if "hub" in given:
            return HubRef(repo=given["hub"], **{str(key): value for key, value in given.items() if key != "hub"})
        case Mapping():
            return {author: _input(name, file, found) for author, file in given.items()}
    raise InputError(found=f"{name}={given!r}", wanted="a file", do=f"give -T {name}=FILE")


def _wants_grader(name: str) -> None:
    """Refuses in one line where Inspect builds the task for a run without a grader; elsewhere the first sample does."""
    if active_model() is not None and inspect_asking.GRADER not in model_roles():
        raise InputError(
            found=f"no grader for {name}", wanted="a model that judges, never the one judged",
            do="give --model-role grader=PROVIDER/MODEL, or -T judge=NAME",
        )  # fmt: skip


def _register(name: str) -> Callable[..., Task]:
    """The task of one eval, its parameters being the eval's own."""
    found = battery.get(name)
    own = [param for param in found.defaults if param != "judge"]

    def make(**given: Any) -> Task:
        sampling = given.get("sampling")
        try:
            if found.rubrics and not given.get("judge"):
                _wants_grader(name)
            return build(
                found,
                Given(
                    inputs={key: given.get(key) for key in found.inputs},
                    params={key: given[key] for key in own if key in given},
                    system_prompt=given.get("system_prompt", "default"),
                    sampling=Sampling(**sampling) if sampling else None,
                    seed=given.get("seed", 0),
                    judge=given.get("judge") or "",
                ),
            )
        except IdentityEmError as error:
            raise PrerequisiteError(str(error)) from error

    defaults = {**dict.fromkeys(found.inputs), **{key: found.defaults[key] for key in own}, "system_prompt": "default"}
    defaults |= {"sampling": None, "seed": 0} | ({"judge": ""} if found.rubrics else {})
    keyword = inspect.Parameter.KEYWORD_ONLY
    make.__name__, make.__doc__ = name, found.__doc__
    make.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(key, keyword, default=value) for key, value in defaults.items()], return_annotation=Task
    )
    return task(name=name)(make)


TASKS = {name: _register(name) for name in battery.names()}
