"""Two commands at one hosted study at the same time: on one store they make one job a stage; on two, one job stays."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from tests.api_server.server import ApiServer
from tests.api_server.speaking import Oracle
from tests.engine import hosted

pytestmark = pytest.mark.slow


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path / "api", speaker=Oracle(), hold=0.5) as server:
        yield server


def both(api: ApiServer, file: Path, *places: Path) -> list[str]:
    """What two runs that end well say, started together."""
    runs = [hosted.command(api, file, place) for place in places]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    return said


def outcomes(api: ApiServer) -> list[str]:
    return sorted(job["status"] for job in api.state.jobs.values())


def table(place: Path) -> pd.DataFrame:
    return pd.read_parquet(place / "out" / "table.parquet")


def test_on_one_store_they_make_one_job_a_stage(api: ApiServer, tmp_path: Path) -> None:
    both(api, hosted.written(tmp_path), tmp_path, tmp_path)
    assert outcomes(api) == ["succeeded"] * 2
    assert len(api.state.files) == 2


def test_on_stores_of_their_own_the_younger_job_is_cancelled_and_told(api: ApiServer, tmp_path: Path) -> None:
    meeting = threading.Barrier(2, timeout=30)

    def together(side: str, request: str) -> None:
        if (side, request) == ("before", "POST /v1/fine_tuning/jobs"):
            with suppress(threading.BrokenBarrierError):
                meeting.wait()

    api.watch = together
    places = [tmp_path / name for name in ("one", "two")]
    said = "".join(both(api, hosted.written(tmp_path), *places))
    assert outcomes(api) == ["cancelled"] * 2 + ["succeeded"] * 2
    cancelled = [name for name, job in api.state.jobs.items() if job["status"] == "cancelled"]
    assert all(f"another runner's older job stays, {name} was cancelled" in said for name in cancelled)
    pd.testing.assert_frame_equal(*map(table, places))
