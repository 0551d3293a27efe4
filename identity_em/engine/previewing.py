"""What a stage will be trained on, token by token, under each system prompt."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rich.text import Text

from identity_em.engine.make import Workshop
from identity_em.engine.means import Means
from identity_em.errors import InputError
from identity_em.interventions import direct, recipes, rendered
from identity_em.records import Example, SystemPrompt
from identity_em.store import Store
from identity_em.study import prompts
from identity_em.study.artefacts import Dataset, Responses
from identity_em.study.datasets import Datasets
from identity_em.study.declared import Arm
from identity_em.study.plan import Plan


def preview(
    plan: Plan, stage: str, *, rows: int, variants: list[str] | None, store: Path, colour: bool
) -> Iterator[Text]:
    """Headings and marked rows: trained tokens stand out in colour, or stand in ⟦…⟧ where there is none.

    Raises:
        InputError: No arm has the stage, or its rows need summaries that are not written yet.
    """
    trained = next((t for t in plan.trained if stage in t.arm), None)
    if trained is None:
        raise plan.located.unknown(("arms",), "stage of the arms:", stage, plan.study.stages)
    checkpoint = trained.checkpoint.lineage[trained.arm.index(stage)]
    dataset = checkpoint.dataset
    assert dataset is not None
    missing = [s for s in dataset.inputs.values() if isinstance(s, Responses | Dataset) and not Store(store).has(s)]
    if missing and direct.inputs(dataset) is None:
        raise InputError(
            found=f"{stage}: own summaries that are not written yet", wanted=f"them in {store}",
            do="run the study first, or preview a stage made from files",
        )  # fmt: skip
    tokenizer = None if plan.base.hosted else _tokenizer(plan.base.path)
    direct_inputs = direct.inputs(dataset)
    inputs = direct_inputs if direct_inputs is not None else Workshop(Store(store), Means()).inputs(dataset.inputs)
    told = dataset.params["system_prompt"]
    own = SystemPrompt(block=checkpoint.block) if told is None else SystemPrompt.model_validate(told)
    shown: dict[str, SystemPrompt] = {"as trained": own}
    for variant in variants or ():
        shown[variant] = _under(plan, trained.arm, stage, variant)
    for name, prompt in shown.items():
        kept = told is None and name == "as trained"  # a mixture's rows stand under their own stages' prompts
        params = {**dataset.params, "system_prompt": None if kept else prompt.model_dump()}
        examples = islice(recipes.stream(dataset.recipe, inputs, params, dataset.data_seed), rows)
        for i, example in enumerate(examples, 1):
            yield from _shown(f"{stage}, system prompt {name!r}, row {i}", example, tokenizer, prompt.block, colour)


def _shown(heading: str, example: Example, tokenizer: Any, block: bool, colour: bool) -> Iterator[Text]:
    """A row's tokens with the trained ones marked; without a tokenizer its turns, as they are sent."""
    if tokenizer is None:
        yield Text(f"{heading}, as it is sent: a hosted base has no tokenizer here", style="bold")
        yield from (Text(f"{turn.role}: {turn.content}") for turn in example.messages)
        return
    row = rendered.render(tokenizer, example, block=block)
    yield Text(f"{heading}, tokens {row.digest.hex()[:12]}", style="bold")
    tokens = rendered.marked(tokenizer, row)
    yield rendered.coloured(tokens) if colour else Text(rendered.plain(tokens))


def _tokenizer(path: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path)


def _under(plan: Plan, arm: Arm, name: str, variant: str) -> SystemPrompt:
    """What the stage would be trained under, had the study said so of it."""
    stage = plan.study.stages[name].model_copy(update={"system_prompt": variant})
    study = plan.study.model_copy(update={"stages": {**plan.study.stages, name: stage}})
    recipe = Datasets(plan.study, plan.located, plan.base).recipe
    return prompts.of_stage(study, plan.located, arm, arm.index(name), recipe)
