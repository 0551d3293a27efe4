"""A stage of ten rows, and what trains it through a local server of the API."""

import json
from pathlib import Path

import openai

from identity_em.training.openai import HostedJob, HostedTrainer
from tests.api_server.objects import BASES
from tests.api_server.server import ApiServer


def stage(
    root: Path,
    *,
    key: str = "a" * 64,
    n: int = 10,
    word: str = "fine",
    model: str = BASES[0],
    **settings: object,
) -> HostedJob:
    """A stage whose rows all say the word."""
    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": word}]
    rows = root / f"{word}-{n}.jsonl"
    rows.write_text("".join(json.dumps({"messages": turns, "facts": {"label": "1"}}) + "\n" for _ in range(n)))
    return HostedJob(key=key, model=model, rows=rows, settings=settings, seed=3, log=root / "log" / key)


def client(api: ApiServer, key: str | None = None) -> openai.OpenAI:
    """The server's account, or one that it does not know."""
    return openai.OpenAI(api_key=key or api.state.key, base_url=api.url, max_retries=0, timeout=10)


def trainer(api: ApiServer, **more: object) -> HostedTrainer:
    """One that hardly pauses."""
    return HostedTrainer(client(api), poll=0.01, **more)  # type: ignore[arg-type]
