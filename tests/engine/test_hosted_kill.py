"""Killed with SIGKILL at any request, a hosted study goes on: one file and one job a stage, and the same table."""

import multiprocessing
import os
import runpy
import signal
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from tests.api_server.server import ApiServer
from tests.api_server.speaking import Oracle
from tests.engine import hosted

pytestmark = [pytest.mark.long, pytest.mark.slow]
ASKING = "POST /v1/chat/completions"


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Processes that are forked from one with everything imported, so that each starts at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [f"identity_em.{name}" for name in ("engine.make", "engine.assemble", "training.openai", "models.hosted")]
    )
    return context


def start(processes: multiprocessing.context.ForkServerContext, api: ApiServer, root: Path, file: Path) -> int:
    """Run the study in a process of its own to its end; its exit code."""
    environment = {"OPENAI_API_KEY": api.state.key, "OPENAI_BASE_URL": api.url}
    # By path, since a process of its own cannot import the tests.
    given = {"CHILD": (file, root / "store", environment)}
    process = processes.Process(target=runpy.run_path, args=(hosted.__file__, given, "__child__"))
    process.start()
    api.watched = process.pid  # type: ignore[attr-defined]
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def kill_at(api: ApiServer, number: int, side: str) -> None:
    """Kill the process that makes the request of this number (from 0), before or after the request is served."""
    seen = 0

    def watch(now: str, request: str) -> None:
        nonlocal seen
        if now == side:
            seen += 1
            if seen == number + 1:
                with suppress(ProcessLookupError):
                    os.kill(api.watched, signal.SIGKILL)  # type: ignore[attr-defined]

    api.watch = watch


@pytest.fixture(scope="module")
def undisturbed(
    processes: multiprocessing.context.ForkServerContext, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[str], pd.DataFrame]:
    root = tmp_path_factory.mktemp("undisturbed")
    with ApiServer(root / "api", speaker=Oracle()) as api:
        assert start(processes, api, root, hosted.written(root)) == 0
        return list(api.state.requests), pd.read_parquet(root / "store.parquet")


@pytest.mark.parametrize("side", ["before", "after"])
def test_killed_at_every_request_that_trains_and_at_one_that_asks(
    side: str,
    processes: multiprocessing.context.ForkServerContext,
    undisturbed: tuple[list[str], pd.DataFrame],
    tmp_path: Path,
) -> None:
    requests, table = undisturbed
    asking = [i for i, request in enumerate(requests) if request == ASKING]
    places = [i for i, request in enumerate(requests) if request != ASKING] + [asking[len(asking) // 2]]
    assert len(places) > 12
    killed = 0
    for place in places:
        root = tmp_path / str(place)
        root.mkdir()
        file = hosted.written(root)
        with ApiServer(root / "api", speaker=Oracle()) as api:
            kill_at(api, place, side)
            first = start(processes, api, root, file)
            api.watch = lambda side, request: None
            # A job may end one look sooner; whatever the kill met, the study is whole afterwards.
            assert first in (-signal.SIGKILL, 0)
            killed += first == -signal.SIGKILL
            assert start(processes, api, root, file) == 0
            assert (len(api.state.files), len(api.state.jobs)) == (2, 2), (place, requests[place])
            assert [job["status"] for job in api.state.jobs.values()] == ["succeeded"] * 2
        pd.testing.assert_frame_equal(pd.read_parquet(root / "store.parquet"), table)
    assert killed >= len(places) - 4
