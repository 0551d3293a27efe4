"""What a study will train and about what it takes: rows, steps, tokens, hours. Estimates say that they are."""

import math
import re
from collections.abc import Mapping
from typing import Any

from identity_em.interventions import recipes
from identity_em.records import Record
from identity_em.study import answer_costs, memory, shapes, sizes
from identity_em.study.answer_costs import Asking
from identity_em.study.artefacts import Checkpoint, Dataset
from identity_em.study.plan import Plan
from identity_em.study.spec import RecipeSpec
from identity_em.tasks import prices
from identity_em.training import openai_settings

# Dense bf16 peak in TFLOP/s, from the vendors' data sheets.
GPUS: Mapping[str, float] = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362}
# Share of the peak that a LoRA stage reaches: an assumption, not a measurement.
UTILISATION = 0.35
# Floating point operations a parameter and token: two forward, two for the gradient of activations, and two to go
# forward again where activations are not kept; the frozen weights need no gradient of their own.
FLOPS_PER_TOKEN = {False: 4, True: 6}
CHARS_PER_TOKEN = sizes.CHARS_PER_TOKEN


class StageCost(Record):
    """One stage as planned.

    Attributes:
        rows: Rows to train on; an upper bound where ties are skipped and summaries are not written yet.
        tokens: Rendered tokens over all epochs, from characters (about four a token).
        usd: What a hosted training may cost, once; None where no price or no text is known, or nothing is bought.
    """

    dataset: Dataset
    describe: str
    system_prompt: str
    rows: int
    exact: bool
    steps: int
    tokens: int
    usd: float | None = None


def costs(plan: Plan) -> dict[str, StageCost]:
    """Each stage's cost by name, in the study's order; every file that is named is read and checked.

    Raises:
        DataError: A row of a file that cannot be used.
    """
    found: dict[str, StageCost] = {}
    for trained in plan.trained:
        for name, checkpoint in zip(trained.arm, trained.checkpoint.lineage, strict=True):
            if name not in found:
                found[name] = _cost(plan, name, checkpoint)
    return {name: found[name] for name in plan.study.stages if name in found}


def hours(tokens: int, parameters: float, *, checkpointed: bool) -> dict[str, float]:
    """Estimated GPU hours for training on `tokens` tokens, by kind of GPU; several GPUs share them.

    tokens x parameters x FLOPS_PER_TOKEN / (the GPU's peak x UTILISATION). 4-bit bases take longer: their weights are
    unpacked at each use.

    Args:
        checkpointed: Whether activations are computed again in the backward pass (`gradient_checkpointing`).
    """
    flops = FLOPS_PER_TOKEN[checkpointed] * parameters * tokens
    return {name: flops / (peak * 1e12 * UTILISATION) / 3600 for name, peak in GPUS.items()}


def gpu_hours(plan: Plan, tokens: int, size: float) -> dict[str, float]:
    """`hours` of a plan's trainings."""
    checkpointed = any(c.settings.get("gradient_checkpointing") for c in plan.trainings)
    return hours(tokens, size, checkpointed=checkpointed)


def total_tokens(plan: Plan, costs: Mapping[str, StageCost]) -> int:
    """Tokens of all distinct trainings, each counted with its own stage's estimate."""
    by_dataset = {cost.dataset.key: cost.tokens for cost in costs.values()}
    mean = sum(by_dataset.values()) // max(1, len(by_dataset))
    return sum(by_dataset.get(c.dataset.key, mean) for c in plan.trainings if c.dataset is not None)


def total_usd(plan: Plan, costs: Mapping[str, StageCost]) -> float | None:
    """Dollars of all distinct hosted trainings, as far as they are known; None where none is."""
    by_dataset = {cost.dataset.key: cost.usd for cost in costs.values()}
    known = [usd for usd in by_dataset.values() if usd is not None]
    if not known:
        return None
    # Another seed's own summaries make another dataset, of about the same length.
    mean = sum(known) / len(known)
    return sum(by_dataset.get(c.dataset.key, mean) or 0.0 for c in plan.trainings if c.dataset is not None)


def described(plan: Plan, costs: Mapping[str, StageCost], size: float | None) -> dict[str, Any]:
    """The whole plan, fit for JSON; `size` is the base's number of parameters."""
    tokens, labels = total_tokens(plan, costs), plan.labels()
    return {
        "study": plan.study.name,
        "base": plan.base.model_dump(mode="json", exclude={"path"}),
        "arms": [list(arm) for arm in plan.study.all_arms],
        "stages": {n: c.model_dump(mode="json", exclude={"dataset"}) for n, c in costs.items()},
        "trainings": len(plan.trainings),
        "naive_trainings": plan.naive_trainings,
        "artefacts": [{"kind": a.kind, "key": a.key, "label": labels[a.key]} for a in plan.artefacts],
        "tokens": tokens,
        "usd_estimate": total_usd(plan, costs),
        "answers_estimate": _asking(answer_costs.answers(plan)),
        "verdicts_estimate": _asking(answer_costs.verdicts(plan)),
        "gpu_hours_estimate": gpu_hours(plan, tokens, size) if size else None,
        "memory_estimate_gib": memory.described(memory.largest(plan)),
    }


def parameters(plan: Plan) -> float | None:
    """Parameters of the base: from its shapes, else from a size in its name ("32B"); None where neither tells."""
    found = None if plan.base.hosted else shapes.of(plan.base)
    if found is not None:
        return float(found.in_layers + found.outside)
    size = re.search(r"(\d+(?:\.\d+)?)[bB]\b", plan.base.name)
    return float(size[1]) * 1e9 if size else None


def _cost(plan: Plan, name: str, checkpoint: Checkpoint) -> StageCost:
    dataset, settings = checkpoint.dataset, checkpoint.settings
    assert dataset is not None
    size = sizes.size(dataset)
    if checkpoint.base.hosted:
        batch, epochs = openai_settings.batch(settings, size.rows), float(openai_settings.epochs(settings))
        # Of a question and its answer; a system prompt's turn is left out.
        around = size.rows * (openai_settings.ROW_TOKENS + 2 * openai_settings.TURN_TOKENS) if size.characters else 0
    else:
        batch = int(settings["micro_batch_size"]) * int(settings["gradient_accumulation_steps"])
        epochs, around = float(settings["num_epochs"]), 0
    stage, tokens = plan.study.stages[name], round((size.characters / CHARS_PER_TOKEN + around) * epochs)
    return StageCost(
        dataset=dataset,
        describe=stage.dataset if isinstance(stage.dataset, str) else _describe(stage.dataset),
        system_prompt=recipes.get(dataset.recipe).system_prompt if stage.system_prompt is None else stage.system_prompt,
        rows=size.rows,
        exact=size.exact,
        steps=math.ceil(math.ceil(size.rows / batch) * epochs),
        tokens=tokens,
        usd=prices.training_usd(checkpoint.base.name, tokens) if checkpoint.base.hosted and tokens else None,
    )


def _asking(found: Asking | None) -> dict[str, Any] | None:
    return None if found is None else found.model_dump(mode="json")


def _describe(spec: RecipeSpec) -> str:
    needed = recipes.get(spec.recipe).inputs
    idle = set() if "self" in needed else {"self"}
    recipe = spec.model_dump(by_alias=True)
    given = {k: v for k, v in recipe.items() if v is not None and k not in idle | {"recipe"}}
    inner = ", ".join(f"{k}: {'[' + ', '.join(v) + ']' if isinstance(v, tuple) else v}" for k, v in given.items())
    return f"{spec.recipe} ({inner})" if inner else spec.recipe
