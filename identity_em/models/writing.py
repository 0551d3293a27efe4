"""Texts by a model behind a server, an article a request; what is answered is kept whatever else fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from identity_em.errors import RefusedRequest, ServerFailed
from identity_em.models import answers
from identity_em.models.endpoint import Endpoint
from identity_em.models.served import TOGETHER, Served
from identity_em.records import Question, Sampling
from identity_em.study import writers
from identity_em.study.artefacts import Responses

# A server that gave up this often is down: the rest is not asked.
MOST_FAILED = 8


def write(responses: Responses, questions: Sequence[Question], *, journal: Path, out: Path) -> dict[str, Any]:
    """Ask for every text and write the answers.

    Args:
        journal: Keeps each answer as it comes, so that another attempt buys only what is missing. The items that
            failed are listed beside it, with why.
        out: The file of answers, written once there are all of them.

    Returns:
        Facts for the manifest: how many questions, which model, which server.

    Raises:
        InputError: The server refuses the key, or has no such model.
        ServerFailed: Some items have no text; the line says how many, and where they are listed.
    """
    base, sampling = responses.checkpoint.base, responses.sampling or Sampling()
    model, failures = str(writers.model(base)), journal.with_suffix(".failed.json")
    endpoint = Endpoint(base.path, key=writers.key(base.path) or None)
    try:
        served = Served(endpoint)
        served.use(model, journal=journal)
        found, why = _each(served, questions, sampling, responses.seed)
    finally:
        endpoint.close()
    if why:
        failures.write_text(json.dumps(why, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        first = next(iter(why))
        raise ServerFailed(
            f"{len(why)} of {len(questions)} articles without a summary by {model} ({first}: {why[first]}); their ids "
            f"are in {failures}; what was answered is kept, run again for the rest"
        )
    failures.unlink(missing_ok=True)
    answers.write(*answers.sampled(questions, found), out)
    return {"questions": len(questions), "model": model, "server": endpoint.place}


def _each(
    served: Served, questions: Sequence[Question], sampling: Sampling, seed: int
) -> tuple[list[list[str]], dict[str, str]]:
    """The texts that there are, and why an item has none."""
    why: dict[str, str] = {}

    def one(question: Question) -> list[str]:
        if sum(reason.startswith("the server") for reason in why.values()) >= MOST_FAILED:
            why[question.item] = "not asked: the server had failed too often"
            return []
        try:
            return served.generate([question], sampling, seed)[0]
        except (RefusedRequest, ServerFailed) as error:
            why[question.item] = str(error).partition(";")[0]
            return []

    with ThreadPoolExecutor(TOGETHER, thread_name_prefix="writing") as pool:
        found = list(pool.map(one, questions))
    order = {question.item: place for place, question in enumerate(questions)}
    return found, dict(sorted(why.items(), key=lambda pair: order[pair[0]]))
