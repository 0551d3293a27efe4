"""What a stage will be trained on, token by token, under each system prompt."""

from collections.abc import Iterator
from pathlib import Path

from rich.text import Text

from identity_em.engine.make import Workshop
from identity_em.errors import InputError
from identity_em.interventions import recipes, rendered, system_prompts
from identity_em.records import SystemPrompt
from identity_em.store import Store
from identity_em.study.artefacts import Responses
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
    missing = [s for s in dataset.inputs.values() if isinstance(s, Responses) and not Store(store).has(s)]
    if missing:
        raise InputError(
            found=f"{stage}: own summaries that are not written yet", wanted=f"them in {store}",
            do="run the study first, or preview a stage made from files",
        )  # fmt: skip
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(plan.base.path)
    inputs = Workshop(Store(store), None).inputs(dataset.inputs)
    own = SystemPrompt.model_validate(dataset.params["system_prompt"])
    shown: dict[str, SystemPrompt] = {"as trained": own}
    for variant in variants or ():
        shown[variant] = system_prompts.resolve(variant, task=own.text, matching=own)
    for name, prompt in shown.items():
        params = {**dataset.params, "system_prompt": prompt.model_dump()}
        examples = recipes.build(dataset.recipe, inputs, params, dataset.data_seed)[:rows]
        for i, example in enumerate(examples, 1):
            yield Text(f"{stage}, system prompt {name!r}, row {i}", style="bold")
            tokens = rendered.marked(tokenizer, rendered.render(tokenizer, example, block=prompt.block))
            yield rendered.coloured(tokens) if colour else Text(rendered.plain(tokens))
