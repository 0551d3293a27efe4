"""Commands about servers of models: start one for a study.

A part of the command line like cli.py, which adds them to its own: they parse, call and print, and nothing else.
"""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from identity_em.cli_store import StoreOption, StudyArgument


def serve(
    study: StudyArgument,
    store: StoreOption = Path("store"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    length: Annotated[
        int | None, typer.Option("--max-model-len", min=1, help="Most tokens of a prompt and its answer.")
    ] = None,
    dry: Annotated[
        bool, typer.Option("--print", help="Print the command and the sizes; write and start nothing.")
    ] = False,
) -> None:
    """Serve the base and every trained checkpoint of a study with vLLM, each under its key.

    Then `identity-em run STUDY --served http://HOST:PORT`. A key that clients must show is taken from
    IDENTITY_EM_SERVED_KEY.
    """
    from identity_em.models import vllm
    from identity_em.store import Store
    from identity_em.study import plan as planning
    from identity_em.training.environment import VLLM

    plan, kept = planning.plan(planning.find(study)), Store(store)
    server = vllm.server(plan, kept, host=host, port=port, length=length)
    python = (VLLM.find() or "python") if dry else VLLM.require()
    command = server.command(str(python))
    if dry:
        for name, value in sorted(vllm.environment(shown=True).items()):
            typer.echo(f"{name}={value} \\")
        typer.echo(shlex.join(command))
    for adapter in server.adapters:
        typer.echo(f"{adapter.name}: rank {adapter.size.rank}, {adapter.size.size / 1e6:,.1f} MB", err=dry)
    waiting = len({t.checkpoint.key for t in plan.trained if not t.checkpoint.root}) - len(server.adapters)
    typer.echo(f"{len(server.adapters)} adapters on {server.name}; {waiting} not trained yet", err=dry)
    if dry:
        return
    vllm.export(plan, kept)
    sys.stdout.flush()
    # In our own place: a signal to this process reaches the server, which ends its children (not after SIGKILL).
    os.execve(command[0], command, {**os.environ, **vllm.environment()})
