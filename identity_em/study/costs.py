"""What a study will train and about what it takes: rows, steps, tokens, hours. Estimates say that they are."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from identity_em.interventions import direct, recipes, wordings
from identity_em.interventions.articles import load_texts, part
from identity_em.interventions.summaries import align
from identity_em.records import Record
from identity_em.study.artefacts import Checkpoint, Dataset, FileRef, HubRef, HubRows, Part
from identity_em.study.plan import Plan
from identity_em.study.spec import RecipeSpec

# Dense bf16 peak in TFLOP/s, from the vendors' data sheets.
GPUS: Mapping[str, float] = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362}
# Share of the peak that a LoRA stage reaches, and floating point operations a parameter and token: two forward, two
# for the gradient of activations; the frozen weights need no gradient of their own. An assumption, not a measurement.
UTILISATION, FLOPS_PER_TOKEN = 0.35, 4
CHARS_PER_TOKEN = 4.0


class StageCost(Record):
    """One stage as planned.

    Attributes:
        rows: Rows to train on; an upper bound where ties are skipped and summaries are not written yet.
        tokens: Rendered tokens over all epochs, from characters (about four a token).
    """

    dataset: Dataset
    describe: str
    system_prompt: str
    rows: int
    exact: bool
    steps: int
    tokens: int


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


def hours(tokens: int, parameters: float) -> dict[str, float]:
    """Estimated GPU hours for training on `tokens` tokens, by kind of GPU."""
    flops = FLOPS_PER_TOKEN * parameters * tokens
    return {name: flops / (peak * 1e12 * UTILISATION) / 3600 for name, peak in GPUS.items()}


def total_tokens(plan: Plan, costs: Mapping[str, StageCost]) -> int:
    """Tokens of all distinct trainings, each counted with its own stage's estimate."""
    by_dataset = {cost.dataset.key: cost.tokens for cost in costs.values()}
    mean = sum(by_dataset.values()) // max(1, len(by_dataset))
    return sum(by_dataset.get(c.dataset.key, mean) for c in plan.trainings if c.dataset is not None)


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
        "gpu_hours_estimate": hours(tokens, size) if size else None,
    }


def parameters(plan: Plan) -> float | None:
    """Parameters of the base: from its config.json, else from a size in its name ("32B"); None where neither tells."""
    config = Path(plan.base.path) / "config.json"
    if config.is_file():
        shape = json.loads(config.read_text())
        hidden, layers, ffn = shape["hidden_size"], shape["num_hidden_layers"], shape["intermediate_size"]
        share = shape.get("num_key_value_heads", 1) / shape.get("num_attention_heads", 1)
        return float(layers * hidden * (2 * hidden * (1 + share) + 3 * ffn) + shape["vocab_size"] * hidden)
    size = re.search(r"(\d+(?:\.\d+)?)[bB]\b", plan.base.name)
    return float(size[1]) * 1e9 if size else None


def _cost(plan: Plan, name: str, checkpoint: Checkpoint) -> StageCost:
    dataset, settings = checkpoint.dataset, checkpoint.settings
    assert dataset is not None
    rows, characters, exact = _size(dataset)
    batch = int(settings["micro_batch_size"]) * int(settings["gradient_accumulation_steps"])
    epochs = float(settings["num_epochs"])
    stage = plan.study.stages[name]
    return StageCost(
        dataset=dataset,
        describe=stage.dataset if isinstance(stage.dataset, str) else _describe(stage.dataset),
        system_prompt=recipes.get(dataset.recipe).system_prompt if stage.system_prompt is None else stage.system_prompt,
        rows=rows,
        exact=exact,
        steps=math.ceil(math.ceil(rows / batch) * epochs),
        tokens=round(characters * epochs / CHARS_PER_TOKEN),
    )


def _describe(spec: RecipeSpec) -> str:
    needed = recipes.get(spec.recipe).inputs
    idle = set() if "self" in needed else {"self"}
    recipe = spec.model_dump(by_alias=True)
    given = {k: v for k, v in recipe.items() if v is not None and k not in idle | {"recipe"}}
    inner = ", ".join(f"{k}: {'[' + ', '.join(v) + ']' if isinstance(v, tuple) else v}" for k, v in given.items())
    return f"{spec.recipe} ({inner})" if inner else spec.recipe


def _size(dataset: Dataset) -> tuple[int, int, bool]:
    """Rows, characters, and whether the rows are exact."""
    rows = direct.examples(dataset)
    if rows is not None:
        return len(rows), sum(len(m.content) for row in rows for m in row.messages), True
    recipe = recipes.get(dataset.recipe)
    main = dataset.inputs.get("main")
    if isinstance(main, Dataset):
        n, characters, exact = _size(main)
        planned = recipe.rows(n, dataset.params)
        return planned, round(characters * planned / max(1, n)), exact
    articles = dataset.inputs.get("articles")
    if isinstance(articles, FileRef | Part) and not isinstance(getattr(articles, "source", None), HubRef):
        return _unwritten(dataset, articles)
    given = dataset.inputs.get("rows")
    if isinstance(given, HubRows) and given.rows:
        return dataset.params.get("rows") or given.rows, 0, False
    limit = dataset.params.get("limit") or getattr(articles, "limit", None) or 0
    return recipe.rows(limit, dataset.params), 0, False


def _unwritten(dataset: Dataset, articles: FileRef | Part) -> tuple[int, int, bool]:
    """The same where own summaries are not written yet: an upper bound, or exact where no pair can be left out."""
    texts = load_texts(articles.path) if isinstance(articles, FileRef) else part(articles)
    for name, source in dataset.inputs.items():
        if name in ("self", "other") and isinstance(source, FileRef):
            align(texts, [load_texts(source.path)], names=(name,), limit=dataset.params.get("limit"))
    limit = dataset.params.get("limit") or len(texts)
    wording = wordings.get(dataset.params["wording"])
    # Two summaries at most as long as the wording allows, beside the article.
    summaries = 2 * wording.max_new_tokens * CHARS_PER_TOKEN
    fixed = len(wording.task_system) + len(wording.recognition) + summaries
    recipe = recipes.get(dataset.recipe)
    rows = recipe.rows(len(texts), dataset.params)
    mean_article = sum(map(len, list(texts.values())[:limit])) / max(1, min(limit, len(texts)))
    return rows, round(rows * (mean_article + fixed)), recipe.exact(dataset.params)
