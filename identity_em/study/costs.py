"""What a study will train and about what it takes: rows, steps, tokens, hours. Estimates say that they are.

What is not known before texts are here is None, and no sum takes it for nothing.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from identity_em.interventions import recipes
from identity_em.records import Record
from identity_em.study import answer_costs, leftovers, memory, shapes, sizes
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
# What a chat template puts around one message: its opening token, the role, a newline or the header's end, the closing
# token and a newline. Source: the templates of Qwen2.5 (ChatML) and Llama 3. A row's system block counts as one, also
# where the template adds it of its own accord; that one's text is left out, as planning loads no tokenizer.
TURN_TOKENS = 5

_Number = TypeVar("_Number", int, float)


class StageCost(Record):
    """One stage as planned.

    Attributes:
        rows: Rows to train on; an upper bound where not `exact` (ties are skipped, texts are not here yet).
        tokens: Rendered tokens over all epochs, from characters (about four a token) and what stands around each turn.
        usd: What a hosted training may cost, once; None where no price or no text is known, or nothing is bought.
    """

    dataset: Dataset
    describe: str
    system_prompt: str
    rows: int | None
    exact: bool
    steps: int | None
    tokens: int | None
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


def total_tokens(plan: Plan, costs: Mapping[str, StageCost]) -> int | None:
    """Tokens of all distinct trainings, each its own stage's estimate; None where something is trained and none known.

    Stages of `without` are not in it.
    """
    return _known(cost.tokens for cost in _each(plan, costs))


def total_usd(plan: Plan, costs: Mapping[str, StageCost]) -> float | None:
    """Dollars of all distinct hosted trainings, as far as they are known; None where none is."""
    return _known(cost.usd for cost in _each(plan, costs)) if plan.base.hosted else None


def without(costs: Mapping[str, StageCost]) -> list[str]:
    """Stages whose tokens are not known, as their texts are not here yet."""
    return [name for name, cost in costs.items() if cost.tokens is None]


def _each(plan: Plan, costs: Mapping[str, StageCost]) -> list[StageCost]:
    """The estimate of every distinct training; another seed's own summaries are about as long as the first's."""
    found = {
        checkpoint.key: costs[name]
        for trained in plan.trained
        for name, checkpoint in zip(trained.arm, trained.checkpoint.lineage, strict=True)
    }
    return list(found.values())


def _known(each: Iterable[_Number | None]) -> _Number | None:
    """What is known of them together; None where there are some and nothing is known."""
    found = list(each)
    known = [one for one in found if one is not None]
    return sum(known) if known or not found else None


def described(plan: Plan, costs: Mapping[str, StageCost], size: float | None) -> dict[str, Any]:
    """The whole plan, fit for JSON; `size` is the base's number of parameters."""
    tokens, labels = total_tokens(plan, costs), plan.labels()
    return {
        "study": plan.study.name,
        "warnings": leftovers.warnings(plan),
        "notes": list(plan.study.notes),
        "base": plan.base.model_dump(mode="json", exclude={"path"}),
        "arms": [list(arm) for arm in plan.study.all_arms],
        "stages": {n: c.model_dump(mode="json", exclude={"dataset"}) for n, c in costs.items()},
        "trainings": len(plan.trainings),
        "naive_trainings": plan.naive_trainings,
        "artefacts": [{"kind": a.kind, "key": a.key, "label": labels[a.key]} for a in plan.artefacts],
        "tokens": tokens,
        "without": without(costs),
        "usd_estimate": total_usd(plan, costs),
        "answers_estimate": _asking(answer_costs.answers(plan)),
        "verdicts_estimate": _asking(answer_costs.verdicts(plan)),
        "gpu_hours_estimate": None if size is None or tokens is None else gpu_hours(plan, tokens, size),
        "memory_estimate_gib": memory.described(memory.largest(plan)),
    }


def parameters(plan: Plan) -> float | None:
    """Parameters of the base: from its shapes, else from a size in its name ("32B", not "8x7B")."""
    found = None if plan.base.hosted else shapes.of(plan.base)
    if found is not None:
        return float(found.in_layers + found.outside)
    size = re.search(r"(?<![\dx.])(\d+(?:\.\d+)?)[bB]\b", plan.base.name)
    return float(size[1]) * 1e9 if size else None


def _cost(plan: Plan, name: str, checkpoint: Checkpoint) -> StageCost:
    dataset, settings = checkpoint.dataset, checkpoint.settings
    assert dataset is not None
    size = sizes.size(dataset)
    if checkpoint.base.hosted:
        batch, epochs = openai_settings.batch(settings, size.rows or 0), float(openai_settings.epochs(settings))
        row, turn = openai_settings.ROW_TOKENS, openai_settings.TURN_TOKENS  # a system prompt's turn is left out
    else:
        batch = int(settings["micro_batch_size"]) * int(settings["gradient_accumulation_steps"])
        epochs, row, turn = float(settings["num_epochs"]), TURN_TOKENS * checkpoint.block, TURN_TOKENS
    stage, tokens = plan.study.stages[name], None
    if size.rows is not None and size.characters is not None and size.turns is not None:
        tokens = round((size.characters / CHARS_PER_TOKEN + size.rows * row + size.turns * turn) * epochs)
    return StageCost(
        dataset=dataset,
        describe=stage.dataset if isinstance(stage.dataset, str) else _describe(stage.dataset),
        system_prompt=recipes.get(dataset.recipe).system_prompt if stage.system_prompt is None else stage.system_prompt,
        rows=size.rows,
        exact=size.exact,
        steps=None if size.rows is None else math.ceil(math.ceil(size.rows / batch) * epochs),
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
