"""The gate on a chain: what is evaluated gives the logits that the trainer saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from safetensors.torch import load_file

from identity_em.errors import GateFailed
from identity_em.interventions import rendered
from identity_em.models.resident import Resident
from identity_em.records import Example, Record

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# fp32: what reordered sums leave on logits of order 10. FACTS 1 measured 3e-6 and most stages of the pocket world stay
# there; the worst of 48 left 1.2e-4, of which double precision owns up to half on either side (reports/LOG.md). The
# smallest stage among them moves logits by more than 1.
FP32_TOLERANCE = 1e-3
# bf16 keeps 8 bits: a few roundings of the largest logit.
BF16_ROUNDINGS, BF16_EPSILON = 8, 2**-8


class Agreement(Record):
    """As-trained against as-evaluated logits.

    Attributes:
        difference: Largest absolute difference over rows, positions and vocabulary, in logits.
        tolerance: What was allowed.
    """

    difference: float
    tolerance: float


def check_tokens(tokenizer: PreTrainedTokenizerBase, rows: Path, consumed: str, *, block: bool) -> None:
    """What the trainer consumed is, token by token and mask by mask, what `preview` shows.

    Args:
        rows: The dataset's rows.jsonl.
        consumed: Digest of what the trainer consumed (`Trained.rendered_sha256`).

    Raises:
        GateFailed: It is not.
    """
    lines = rows.read_text(encoding="utf-8").split("\n")
    examples = (Example.model_validate_json(line) for line in lines if line)
    ours = rendered.rendered_sha256(rendered.render(tokenizer, example, block=block) for example in examples)
    if ours != consumed:
        raise GateFailed(f"{rows}: the trainer consumed other tokens or masks than `identity-em preview` shows")


def check(model: Resident, chain: Sequence[Path], mode: Literal["live", "merge"], adapter: Path) -> Agreement:
    """Compare the checkpoint as evaluated with `as_trained.safetensors` beside its adapter.

    Raises:
        GateFailed: They differ by more than rounding.
    """
    kept = load_file(str(adapter / "as_trained.safetensors"))
    model.use(chain, mode)
    difference, largest = 0.0, 0.0
    for row in range(len(kept) // 3):
        ids, positions, trained = (kept[f"{part}.{row}"] for part in ("ids", "positions", "logits"))
        evaluated = model.logits(ids.long().unsqueeze(0), positions.tolist())[0]
        difference = max(difference, float((evaluated - trained).abs().max()))
        largest = max(largest, float(trained.abs().max()))
    exact = model.base.precision == "fp32"
    tolerance = FP32_TOLERANCE * max(1.0, largest / 10) if exact else BF16_ROUNDINGS * BF16_EPSILON * largest
    if not difference <= tolerance:
        raise GateFailed(
            f"{adapter}: as-trained and as-evaluated logits differ by {difference:.3g}; at most {tolerance:.3g} is "
            "rounding; the adapter is not what was trained, so nothing is measured with it"
        )
    return Agreement(difference=difference, tolerance=tolerance)
