"""Run by test_sharded.py under torchrun: a live chain on a base that FSDP2 holds in shares, over gloo."""

import sys
from pathlib import Path
from typing import Any

import torch
from torch.distributed import destroy_process_group, get_rank, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM

from identity_em.training import lora


def model(base: Path, chain: list[str], *, shared: bool) -> Any:
    found = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="sdpa")
    lora.attach_live(found, chain)
    if shared:
        mesh = init_device_mesh("cpu", (2,))
        for layer in found.model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(found, mesh=mesh)
    return found


if __name__ == "__main__":
    base, out, chain = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    init_process_group("gloo")
    ids = torch.arange(40)[None]
    logits, losses = [], []
    for shared in (False, True):
        found = model(base, chain, shared=shared)
        result = found(input_ids=ids, labels=ids)
        result.loss.backward()
        grad = found.model.layers[0].mlp.up_proj.weight.grad
        logits.append(result.logits.detach())
        losses.append(grad.full_tensor() if shared else grad)
    if get_rank() == 0:
        furthest = max(float((one - other).abs().max()) for one, other in (logits, losses))
        out.write_text(f"{furthest} {float(logits[0].abs().max())}")
    destroy_process_group()
