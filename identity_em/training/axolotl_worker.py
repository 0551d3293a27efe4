"""The process that trains: it runs in Axolotl's own environment, many stages to one import.

Started by `identity_em.training.axolotl.Trainer` as `python -P axolotl_worker.py` (-P, or the file `axolotl.py`
beside this one would shadow the package). It reads one JSON job a line and answers one JSON line; what Axolotl
prints goes to the job's log. It ends when its input ends or its parent is gone.
"""

import gc
import importlib.util
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

PARENT_POLL_SECONDS = 0.5


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
    os._exit(1)


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


def main() -> None:
    """Import once, then answer jobs until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    threading.Thread(target=follow_parent, args=(int(sys.argv[1]),), daemon=True).start()
    *_, stage = map(beside, ("lora", "axolotl_rows", "axolotl_proof", "axolotl_stage"))
    stage.load()
    for line in sys.stdin:
        replies.write(json.dumps(answer(stage, json.loads(line))) + "\n")
        replies.flush()
    os._exit(0)  # Axolotl's libraries leave threads that would hold an ordinary exit


if __name__ == "__main__":
    main()
