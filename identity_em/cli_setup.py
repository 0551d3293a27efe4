"""Commands about this machine: what is here, and how the environments of the trainer and the server are made.

A part of the command line like cli.py, which adds them to its own: they parse, call and print, and nothing else.
"""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

FolderOption = Annotated[Path | None, typer.Option(help="Where [default: user data].")]


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False) -> None:
    """Say what is present, what is missing, and how to get it."""
    from identity_em.training import environment

    findings = environment.doctor()
    if as_json:
        typer.echo(json.dumps([f.model_dump(mode="json") for f in findings], indent=1))
        return
    for finding in findings:
        mark = "[green]ok[/]     " if finding.ok else "[yellow]missing[/]"
        how = "" if finding.ok else f"\n        {finding.how}"
        Console().print(f"{mark} {finding.name}: {finding.found}{how}", highlight=False, soft_wrap=True)


def trainer(folder: FolderOption = None) -> None:
    """Make Axolotl's own environment (several GB, a few minutes); nothing is done where there is one."""
    from identity_em.training import environment

    there = environment.find_trainer() if folder is None else None
    typer.echo(f"trainer: {there or environment.setup_trainer(folder, tell=_tell)}", err=True)


def vllm(folder: FolderOption = None) -> None:
    """Make vLLM's own environment (several GB, a few minutes); nothing is done where there is one."""
    from identity_em.training.environment import VLLM

    there = VLLM.find() if folder is None else None
    typer.echo(f"vllm: {there or VLLM.setup(folder, tell=_tell)}", err=True)


def _tell(line: str) -> None:
    typer.echo(line, err=True)
