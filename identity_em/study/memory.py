"""What one training takes of each of its GPUs, before it is begun: an estimate, with its formula. No torch."""

from collections.abc import Mapping
from typing import Any

from identity_em.records import Record
from identity_em.study import shapes
from identity_em.study.artefacts import Checkpoint
from identity_em.study.plan import Plan
from identity_em.study.shapes import Shapes
from identity_em.training.placement import Placement
from identity_em.training.settings import Precision

GIB = 2**30
# What a GPU's memory holds, GiB as its driver counts them. Source: the vendors' data sheets, nvidia-smi.
GPUS: Mapping[str, float] = {"H200": 140, "H100": 80, "A100": 80, "L40S": 45}
# Beside what PyTorch holds: CUDA's context and libraries, and memory cut into pieces too small to use. An assumption.
CONTEXT, PIECES = 1.0, 0.04
# Most tokens whose keys and values stand on a GPU while a base is asked: of one batch, all prompts together.
HELD_TOKENS = 32768
# Bytes a number. 4 bits: nf4 in blocks of 64 with one byte of scale, and 4 bytes a 256 of those (double quantisation).
_WEIGHTS: Mapping[Precision, float] = {"fp32": 4, "bf16": 2, "4bit": 0.5 + 1 / 64 + 4 / (64 * 256)}
# States a parameter, in bytes: two of fp32, or of one byte and a scale each 256.
_SMALL = 2 * (1 + 4 / 256)
_STATES = {"adamw_8bit": _SMALL, "adamw_torch_8bit": _SMALL}


class Memory(Record):
    """The peak of one training on each of its GPUs, in GiB as PyTorch's allocator counts them.

    Attributes:
        weights: The base, or this GPU's share of it.
        adapter: LoRA matrices, their gradients and the optimiser's states.
        earlier: The frozen terms of the stages before.
        activations: What the backward pass needs, at its peak.
        gpus: Of one training, on all nodes.
        asked: What answering, and checking a training, takes of each GPU of the process that does it.
    """

    weights: float
    adapter: float
    earlier: float
    activations: float
    gpus: int
    asked: float

    @property
    def peak(self) -> float:
        """The sum."""
        return self.weights + self.adapter + self.earlier + self.activations

    @property
    def fits(self) -> tuple[str, ...]:
        """The kinds of GPU that have room for it."""
        return _room(self.peak)

    @property
    def can_ask(self) -> tuple[str, ...]:
        """The kinds of GPU that have room for asking it."""
        return _room(self.asked)


def _room(gib: float) -> tuple[str, ...]:
    return tuple(name for name, held in GPUS.items() if fit(gib, held))


def fit(gib: float, held: float) -> bool:
    """Whether what PyTorch is to hold goes into a GPU's memory (GiB)."""
    return gib * (1 + PIECES) + CONTEXT <= held


def asked(base: Shapes, precision: Precision, gpus: int = 1) -> float:
    """What answering takes of each of `gpus` GPUs that share the layers, GiB: (W + 32,768 x 2 x k x L x 2 bytes) / n.

    W are the weights, k the width of the keys and L the layers; layers are not cut, so that on several GPUs one may
    hold a layer more, or the embedding.
    """
    plain = 4 if precision == "fp32" else 2
    inside, outside = base.in_layers * _WEIGHTS[precision], base.outside * plain
    held = HELD_TOKENS * 2 * base.keys * base.layers * plain
    more = max(inside / base.layers, base.vocabulary * base.hidden * plain) if gpus > 1 else 0
    return ((inside + outside + held) / gpus + more) / GIB


def per_gpu(
    base: Shapes, settings: Mapping[str, Any], precision: Precision, *, placement: Placement, earlier: int = 0
) -> Memory:
    """Estimate the peak of one training.

    With T = micro_batch_size x sequence_len tokens, h hidden, f feed-forward, V vocabulary, L layers, P weights in the
    layers, E outside them, A adapter parameters, and s GPUs that share the weights (1 unless they are sharded):

    - weights: P x (2 bytes in bf16, 4 in fp32, 0.516 in 4 bits) / s + E x 2 (4 in fp32) / s; where they are sharded
      also E and two layers whole, while they are in use; in 4 bits also one matrix of f x h in bf16;
    - adapter: A x (4 weight + 4 gradient + 2 or 8 optimiser) / s, as PEFT holds LoRA in fp32;
    - earlier stages: A x 4 each, whole on every GPU;
    - activations: T x h x 2 x L with gradient checkpointing, or all that L layers keep, T x 2 x (5 f + 10 h) x L; and
      on top the larger of the loss, T x V x 12 (its logarithms, their gradient, and that of the logits, in fp32), and
      one layer's backward pass, T x 2 x (7 f + 17 h).

    The last two counts were read off PyTorch, operation by operation, on fake tensors of Qwen2's shapes with PEFT's
    LoRA under bf16 autocast (tests/study/test_memory.py counts again). T is an upper bound: rows are padded to the
    longest of their batch, not to sequence_len.

    Args:
        base: The base's shapes.
        settings: A stage's resolved settings.
        precision: What the base is loaded in.
        placement: On how many GPUs.
        earlier: Stages before this one.
    """
    shares = 1 if placement.sharding == "none" else placement.processes
    plain = 4 if precision == "fp32" else 2
    inside, outside = base.in_layers * _WEIGHTS[precision], base.outside * plain
    whole = inside + outside
    weights = whole / shares
    if shares > 1:
        weights += outside + 2 * inside / base.layers
    if precision == "4bit":
        weights += base.ffn * base.hidden * plain
    trained = base.adapter(int(settings["lora_r"]), settings["lora_target_modules"])
    adapter = trained * (8 + _STATES.get(str(settings["optimizer"]), 8.0)) / shares
    return Memory(
        weights=weights / GIB,
        adapter=adapter / GIB,
        earlier=earlier * trained * 4 / GIB,
        activations=_activations(base, settings, plain) / GIB,
        gpus=placement.processes,
        asked=asked(base, precision, placement.gpus),
    )


def _activations(base: Shapes, settings: Mapping[str, Any], plain: int) -> float:
    tokens = int(settings["micro_batch_size"]) * int(settings["sequence_len"])
    kept = base.hidden if settings.get("gradient_checkpointing") else 5 * base.ffn + 10 * base.hidden
    layer = plain * (7 * base.ffn + 17 * base.hidden)
    return float(tokens) * (base.layers * kept * plain + max(12 * base.vocabulary, layer))


def largest(plan: Plan) -> Memory | None:
    """The training of a plan that takes most of a GPU; None where nothing is trained here, or no shapes are known."""
    base = None if plan.base.hosted else shapes.of(plan.base)
    if base is None or not plan.trainings:
        return None
    # Checkpoints of one stage share their settings: as many estimates as there are stages and depths.
    kinds = {(id(c.settings), len(c.lineage)): c for c in plan.trainings}
    return max((_of(base, checkpoint) for checkpoint in kinds.values()), key=lambda memory: memory.peak)


def _of(base: Shapes, checkpoint: Checkpoint) -> Memory:
    # A merged chain is part of the base.
    earlier = len(checkpoint.lineage) - 1 if checkpoint.chain == "live" else 0
    precision = checkpoint.base.precision
    assert precision != "hosted"
    return per_gpu(base, checkpoint.settings, precision, placement=checkpoint.placement, earlier=earlier)


def lines(plan: Plan) -> list[str]:
    """What is said of the memory of a plan's trainings on GPUs of ours."""
    found = largest(plan)
    if found is not None:
        return [line(found)]
    if plan.base.hosted or not plan.trainings:
        return []
    return [f"no estimate of memory: the shapes of {plan.base.name} are not known, or it is a mixture of experts"]


def line(memory: Memory) -> str:
    """The estimate for people, with a warning where no kind of GPU that is known has room."""
    parts = (
        f"weights {memory.weights:,.1f}, LoRA and optimiser {memory.adapter:,.1f}, earlier stages "
        f"{memory.earlier:,.1f}, activations {memory.activations:,.1f}"
    )
    where = "each of " + str(memory.gpus) + " GPUs" if memory.gpus > 1 else "one GPU"
    fits = (
        f"fits {', '.join(memory.fits)}"
        if memory.fits
        else f"WARNING: more than any of {', '.join(GPUS)} holds: try load_in_4bit, gpus with sharding, or a smaller "
        "micro_batch_size"
    )
    ask = ""
    if set(memory.fits) - set(memory.can_ask):
        kinds = ", ".join(memory.can_ask) or "none that is known"
        ask = f"; WARNING: asking takes {memory.asked:,.1f} GiB of each GPU of a node: {kinds}"
    return f"estimated peak of the largest training on {where}: {memory.peak:,.1f} GiB ({parts}); {fits}{ask}"


def described(memory: Memory | None) -> dict[str, Any] | None:
    """The estimate, fit for JSON."""
    if memory is None:
        return None
    found = {name: round(value, 3) for name, value in memory.model_dump().items()}
    return {**found, "peak": round(memory.peak, 3), "fits": list(memory.fits), "can_ask": list(memory.can_ask)}
