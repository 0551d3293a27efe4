"""The process that trains: it runs in Axolotl's own environment, many stages to one import.

Started by `identity_em.training.axolotl.Trainer` as `python -P axolotl_worker.py` (-P, or the file `axolotl.py`
beside this one would shadow the package). It reads one JSON job a line and answers one JSON line; what Axolotl
prints goes to the job's log. It ends when its input ends or its parent is gone.

Of a training by several processes, torchrun starts each as `axolotl_worker.py PARENT JOB`: one job, read from a file
and answered into one beside it.
"""

import gc
import importlib.util
import json
import os
import shutil
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

PARENT_POLL_SECONDS = 0.5
# How the name of a worker's folder for temporary files begins.
OWN = "identity-em-trainer-"


def beside(name: str) -> ModuleType:
    """A module of this folder, loaded by path: the folder is not on the path, nor is the package installed here."""
    known = f"identity_em_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[known] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[known])
    return sys.modules[known]


def follow_parent(parent: int) -> None:
    """End this process as soon as the one that started it is gone, whatever it was doing."""
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    leave()


def leave(code: int = 1) -> None:
    """End this process, also where nobody is left to clear up after it."""
    place = Path(os.environ.get("TMPDIR", ""))
    if place.name.startswith(OWN):
        shutil.rmtree(place, ignore_errors=True)
    os._exit(code)


def redirect(log: str) -> None:
    """Send everything this process prints, C libraries included, to the end of `log`."""
    sys.stdout.flush()
    sys.stderr.flush()
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(target, stream)
    os.close(target)


def answer(stage: ModuleType, job: dict[str, Any]) -> dict[str, Any]:
    """What a job came to: `{"trained": figures}`, or `{"refused": ...}` or `{"failed": line}`."""
    redirect(job["log"])
    try:
        return {"trained": stage.train(job)}
    except stage.rows.Refused as error:
        return {"refused": error.reason}
    except BaseException as error:
        # A SystemExit or KeyboardInterrupt that Axolotl raises is this stage's failure, not the worker's end.
        traceback.print_exc()
        return {"failed": " ".join(f"{type(error).__name__}: {error}".split())}
    finally:
        gc.collect()
        stage.give_back()
        redirect(os.devnull)


def follow_maker(host: str, maker: int, agent: int) -> None:
    """As `follow_parent` for one of several processes: torchrun started it, on behalf of the maker."""
    try:
        while os.getppid() == agent:
            if host == socket.gethostname():
                os.kill(maker, 0)
            time.sleep(PARENT_POLL_SECONDS)
    finally:
        leave()


def main() -> None:
    """Import once, then answer jobs until the input ends; or the one job that was named."""
    if len(sys.argv) > 2:
        one_of_several(Path(sys.argv[2]))
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    threading.Thread(target=follow_parent, args=(int(sys.argv[1]),), daemon=True).start()
    stage = loaded()
    for line in sys.stdin:
        replies.write(json.dumps(answer(stage, json.loads(line))) + "\n")
        replies.flush()
    leave(0)  # Axolotl's libraries leave threads that would hold an ordinary exit


def one_of_several(file: Path) -> None:
    """Train the job in `file` together with the other processes, and answer into `answer-RANK.json` beside it."""
    job = json.loads(file.read_text(encoding="utf-8"))
    host, maker = job["maker"]
    threading.Thread(target=follow_maker, args=(host, maker, os.getppid()), daemon=True).start()
    without_gpus()
    result = answer(loaded(), job)
    beside_it = file.with_name(f"answer-{os.environ['RANK']}")
    beside_it.write_text(json.dumps(result), encoding="utf-8")
    beside_it.replace(beside_it.with_suffix(".json"))
    os._exit(0 if "trained" in result else 1)


def without_gpus() -> None:
    """Where the processes meet on CPUs, Accelerate has to be told before it is imported.

    It numbers the CPUs then, and PyTorch reads no checkpoint to "cpu:0" unless it learns what that is.
    """
    import torch

    if not torch.cuda.is_available():
        os.environ["ACCELERATE_USE_CPU"] = "true"
        torch.serialization.register_package(
            5, lambda _: None, lambda storage, place: storage if place.startswith("cpu:") else None
        )


def loaded() -> ModuleType:
    """The stage's module with everything it needs, Axolotl included."""
    *_, stage = map(beside, ("lora", "axolotl_rows", "axolotl_proof", "axolotl_resume", "axolotl_stage"))
    stage.load()
    return stage


if __name__ == "__main__":
    main()
