"""Rows in the order in which a real stage's training steps read them: run in Axolotl's environment by test_order.py.

Arguments: a folder with job-NAME.json files; writes order-NAME.json beside each, token ids by step and row.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {"AXOLOTL_DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "AXOLOTL_TEE_STDOUT": "0"}
WORKER = Path(__file__).parents[2] / "identity_em" / "training" / "axolotl_worker.py"


def worker() -> Any:
    """The package's worker, loaded by path as it loads its own parts."""
    spec = importlib.util.spec_from_file_location("axolotl_worker", WORKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded(stage: Any, job: dict[str, Any]) -> list[list[int]]:
    """Token ids of each row that a training step was given, padding left out, in order."""
    from axolotl.core.trainers.base import AxolotlTrainer

    seen: list[list[int]] = []
    step = AxolotlTrainer.training_step

    def watched(self: Any, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        for ids, mask in zip(inputs["input_ids"].tolist(), inputs["attention_mask"].tolist(), strict=True):
            seen.append([i for i, on in zip(ids, mask, strict=True) if on])
        return step(self, model, inputs, *rest, **named)

    AxolotlTrainer.training_step = watched
    try:
        stage.train(job)
    finally:
        AxolotlTrainer.training_step = step
    return seen


if __name__ == "__main__":
    found = worker()
    stage = found.loaded()
    for path in sorted(Path(sys.argv[1]).glob("job-*.json")):
        job = json.loads(path.read_text())
        found.redirect(job["log"])  # the stage's proof reads there what Axolotl says of it
        order = recorded(stage, job)
        path.with_name(path.name.replace("job-", "order-")).write_text(json.dumps(order))
    os._exit(0)  # as the worker: Axolotl's libraries leave threads and complain at an ordinary exit
