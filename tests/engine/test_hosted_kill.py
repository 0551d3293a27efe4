"""Killed with SIGKILL at any request, a hosted study goes on: one file and one job a stage, and the same table.

The real command, killed whole: the process that was started and its worker, as a machine that loses power.
"""

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pytest

from tests.api_server.faults import Once
from tests.api_server.server import ApiServer
from tests.api_server.speaking import Oracle
from tests.engine import hosted
from tests.faults.killing import family

pytestmark = pytest.mark.slow
ASKING = "POST /v1/chat/completions"
# A stage takes seven requests: two look-ups, a file, a job, another look-up, the job and its events; the base is looked
# at once. A job that has not ended yet is looked at again.
LEAST = 15


class Place:
    """A server and a study of its own.

    Attributes:
        asking: Whether it is requests that ask the model that are counted; else all others.
        at: The request of which kind, from 1, a run is killed at; 0 for none.
        side: Whether it dies before the server has done anything, or after.
    """

    def __init__(self, root: Path, api: ApiServer) -> None:
        self.root, self.api, self.file = root, api, hosted.written(root)
        self.asking, self.at, self.side = False, 0, "before"
        api.watch = self._watch

    def run(self) -> int:
        """The command to its end; its exit code."""
        self._seen = itertools.count(1)
        with hosted.command(self.api, self.file, self.root) as process:
            self.runner = process.pid
            said = process.communicate(timeout=120)
        assert process.returncode in (0, -signal.SIGKILL), said
        return process.returncode

    @property
    def table(self) -> pd.DataFrame:
        return pd.read_parquet(self.root / "out" / "table.parquet")

    def _watch(self, side: str, request: str) -> None:
        if side != self.side or (request == ASKING) != self.asking:
            return
        if next(self._seen) != self.at:
            return
        for pid in family(self.runner):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if side == "before":
            self.api.faults.once = [Once(request, "cut")]


@contextmanager
def place(root: Path) -> Iterator[Place]:
    root.mkdir(parents=True, exist_ok=True)
    with ApiServer(root / "api", speaker=Oracle()) as api:
        yield Place(root, api)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    with place(tmp_path_factory.mktemp("undisturbed")) as there:
        assert there.run() == 0
        return there.table


def killed(there: Place, table: pd.DataFrame) -> bool:
    """Whether the run was killed; the one after it, left alone, finds everything as it should be."""
    first = there.run()
    there.at = 0
    assert first == 0 or there.run() == 0
    assert (len(there.api.state.files), len(there.api.state.jobs)) == (2, 2)
    assert [job["status"] for job in there.api.state.jobs.values()] == ["succeeded"] * 2
    pd.testing.assert_frame_equal(there.table, table)
    return first != 0


@pytest.mark.parametrize("side", [pytest.param("before", marks=pytest.mark.long), "after"])
def test_killed_at_each_request_that_trains_it_pays_for_nothing_twice(
    side: str, undisturbed: pd.DataFrame, tmp_path: Path
) -> None:
    for number in range(1, 40):
        with place(tmp_path / str(number)) as there:
            there.at, there.side = number, side
            if not killed(there, undisturbed):
                assert number > LEAST
                return
    raise AssertionError("the study never ended")


@pytest.mark.parametrize("side", ["before", "after"])
def test_killed_while_it_asks_it_goes_on(side: str, undisturbed: pd.DataFrame, tmp_path: Path) -> None:
    with place(tmp_path) as there:
        there.asking, there.at, there.side = True, 9, side
        assert killed(there, undisturbed)
