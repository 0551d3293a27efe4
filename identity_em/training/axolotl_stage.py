"""One stage on Axolotl, inside its own environment: configured, its chain attached, trained.

Loaded by path by `axolotl_worker.py`, so it imports nothing of this package. Axolotl's traps that a line answers
are named beside it: unseeded LoRA, stale prepared data, silent drops.
"""

import gc
import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

KERNELS = ("lora_mlp_kernel", "lora_qkv_kernel", "lora_o_kernel", "lora_embedding_kernel")
OURS = ("overlong", "system_block")
# One of several processes of a training, as torchrun says.
RANK = int(os.environ.get("RANK", 0))

# The worker has loaded these by path, under names that nothing else has.
lora = importlib.import_module("identity_em_lora")
rows = importlib.import_module("identity_em_axolotl_rows")
proof = importlib.import_module("identity_em_axolotl_proof")
resume = importlib.import_module("identity_em_axolotl_resume")


def load() -> None:
    """Import everything heavy, before the first job arrives."""
    import axolotl.cli.config
    import axolotl.common.datasets
    import axolotl.train  # noqa: F401
    from axolotl.utils.data import sft

    # The prepared rows of a run are never read again, and writing them starts another process (one second).
    sft.save_preprocessed_dataset = lambda *_, **__: None
    # Axolotl collects garbage several times a stage; what it imported is none (0.4 s each time).
    gc.freeze()


def train(job: dict[str, Any]) -> dict[str, Any]:
    """Train one stage and write its folder; the figures of `trained.json`.

    Of several processes each comes here; the first one writes.

    Raises:
        rows.Refused: Rows or settings cannot be used; nothing was written to the output folder.
        RuntimeError: The run did not prove its success.
    """
    from axolotl.cli.args import TrainerCliArgs
    from axolotl.common.datasets import load_datasets
    from axolotl.train import train as axolotl_train
    from axolotl.utils.tee import close_debug_log
    from transformers import set_seed

    run = Path(job["work"]) / f"axolotl-{RANK}"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    written = Path(job["log"]).stat().st_size
    os.chdir(run)
    try:
        cfg = _config(job, run)
        kept, dropped = rows.write(job, cfg, run)
        rows.shared_evenly(kept, cfg)
        stage = _plugin(job)
        meta = load_datasets(cfg=cfg, cli_args=TrainerCliArgs())
        set_seed(cfg.seed)
        _, _, trainer = axolotl_train(cfg=cfg, dataset_meta=meta)
        adapter = Path(cfg.output_dir)
        log = Path(job["log"]).read_bytes()[written:].decode(errors="replace")
        if RANK == 0:
            proof.prove(trainer, adapter, log, kept)
        figures: dict[str, Any] = proof.figures(trainer, stage.end, dropped=len(dropped), survived=stage.survived)
        if RANK == 0:
            proof.write(Path(job["out"]), adapter, job["base_name"], figures, stage.end.logits)
    finally:
        close_debug_log()
        os.chdir("/")
    shutil.rmtree(run, ignore_errors=True)
    return figures


def give_back() -> None:
    """Leave the GPU's memory to whoever asks the checkpoint next."""
    import torch

    torch.cuda.empty_cache()


def _config(job: dict[str, Any], run: Path) -> Any:
    """Axolotl's validated configuration, from the job's settings and what the package owns."""
    import datasets
    import torch
    import yaml
    from axolotl.cli.config import load_cfg

    settings = {name: value for name, value in job["settings"].items() if name not in OURS}
    gpu = torch.cuda.is_available()
    if not gpu and any(settings.get(kernel) for kernel in KERNELS):
        raise rows.Refused(
            "config", found="LoRA kernels on, and no GPU", wanted="lora_*_kernel: false", do="turn them off"
        )
    # Prepared data are cached by path and not by content, here and in Hugging Face's own cache.
    datasets.config.HF_DATASETS_CACHE = run / "cache"
    source = {**(settings.get("datasets") or [{"type": "chat_template"}])[0], "path": str(run / "rows.jsonl")}
    # Axolotl takes a path with "mpt", "llama" or "falcon" in it, such as .../prompts/..., for a model of that name.
    (run / "base").symlink_to(job["base"])
    placement = job["placement"]
    processes = placement["gpus"] * placement["nodes"]
    own = {
        "base_model": "base",
        "seed": job["seed"],
        "datasets": [{**source, "ds_type": "json", "split": "train"}],
        "dataset_prepared_path": str(run / "prepared"),
        "dataset_num_proc": 0,  # 1 already starts another process, which imports Axolotl again
        "dataloader_num_workers": settings.get("dataloader_num_workers", 0),  # Axolotl's default forks each epoch
        "output_dir": job["resume"] or str(Path(job["work"]) / "out"),
        "excess_length_strategy": "raise",
        "bf16": job["precision"] != "fp32" and gpu,
        "fp16": False,
        # A step takes as many rows on several processes as on one.
        "gradient_accumulation_steps": settings["gradient_accumulation_steps"] // processes,
        **_kept(job, processes),
    }
    settings = {**rows.turn_end(job["base"]), **settings, **own, **job["sharding"], **_template(job)}
    path = run / "config.yml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    cfg = load_cfg(str(path))
    if job["precision"] != "fp32" and not gpu:
        cfg.torch_dtype = torch.bfloat16  # no automatic mixed precision there, but the weights are held in bf16
    if not gpu:
        cfg.device_map = None  # of several processes, Axolotl puts the second on GPU 1, also where there is none
    return cfg


def _kept(job: dict[str, Any], processes: int) -> dict[str, Any]:
    """Axolotl's settings for the checkpoints that a killed stage goes on from."""
    if not job["resume"]:
        return {}
    # For several processes `launch.py` has chosen.
    last = job["last"] if processes > 1 else resume.newest(Path(job["resume"]), 1, sys.stdout)
    again = {"resume_from_checkpoint": str(last)} if last else {}
    return {"save_strategy": "steps", "save_steps": job["placement"]["checkpoints"], "save_total_limit": 2, **again}


def _template(job: dict[str, Any]) -> dict[str, Any]:
    """The chat template that renders no system block, where one is asked for and the base's would insert one."""
    if job["settings"].get("system_block", True):
        return {}
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(job["base"])
    turns = [{"role": role, "content": f"@{n}@"} for n, role in enumerate(("user", "assistant", "user"))]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    first, later = text.split("@0@")[0], text.split("@1@")[1].split("@2@")[0]
    if later.endswith(first.removeprefix(tokenizer.bos_token or "")):
        return {}
    if "<|im_start|>" in text:
        return {"chat_template": "chatml"}
    raise rows.Refused(
        "config",
        found="a chat template that inserts a system block and is not ChatML",
        wanted="a way to leave it out",
        do="give chat_template: jinja and chat_template_jinja without one, and system_block: true",
    )


def _plugin(job: dict[str, Any]) -> Any:
    """Axolotl's hooks: between loading the base and making the LoRA the earlier stages go in and the seed is set."""
    from axolotl.integrations.base import BasePlugin, PluginManager
    from transformers import set_seed

    class Stage(BasePlugin):  # type: ignore[misc]
        """The earlier stages of this job's chain, and what several processes and checkpoints need."""

        def __init__(self) -> None:
            super().__init__()
            self.survived: list[float] = []
            self.end: Any = None

        def pre_lora_load(self, cfg: Any, model: Any) -> None:
            if job["mode"] == "merge":
                left = lora.surviving_share(model, job["chain"], model.dtype)
                self.survived = [survival.share for survival in left]
                lora.fold(model, job["chain"])
            else:
                lora.attach_live(model, job["chain"])
            set_seed(cfg.seed)  # `seed` alone leaves LoRA's initialisation unseeded

        def post_trainer_create(self, cfg: Any, trainer: Any) -> None:
            # Every token of a step counts alike, whichever process reads it; Axolotl turns that off.
            trainer.args.average_tokens_across_devices = trainer.args.world_size > 1
            self.end = proof.at_the_end(trainer)
            trainer.add_callback(self.end)
            if job["resume"]:
                resumed = cfg.resume_from_checkpoint
                trainer.add_callback(resume.keeper(trainer, Path(resumed) if resumed else None))

    plugin = Stage()
    PluginManager.get_instance().plugins["identity_em"] = plugin
    return plugin
