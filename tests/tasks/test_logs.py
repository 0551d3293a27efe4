"""A study's readings as Inspect's own logs, and its viewer in a real browser."""

import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import viewed
from inspect_ai.log import EvalLog, read_eval_log

from identity_em.engine import logs
from identity_em.engine.make import Workshop, read_scores
from identity_em.engine.means import Means
from identity_em.errors import InputError
from identity_em.store import Store
from identity_em.study import plan as planning
from identity_em.study.plan import Plan


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    """The smallest study, of whose arms only the base has been asked."""
    plan = planning.plan(planning.find("pocket-mini"))
    store = Store(tmp_path_factory.mktemp("store"))
    shop = Workshop(store, Means())
    for reading in plan.readings:
        if reading.trained.checkpoint.root and reading.scores.eval != "self_recognition":
            shop.make(reading.scores.responses)
            shop.make(reading.scores)
    return plan, store


@pytest.fixture(scope="module")
def exported(asked: tuple[Plan, Store], tmp_path_factory: pytest.TempPathFactory) -> dict[str, EvalLog]:
    out = tmp_path_factory.mktemp("logs")
    files = logs.export(*asked, out)
    assert sorted(files) == sorted(out.glob("*.eval"))
    return {log.eval.task.removeprefix("identity_em/"): log for log in map(read_eval_log, map(str, files))}


def test_a_log_holds_every_question_answer_and_score(asked: tuple[Plan, Store], exported: dict[str, EvalLog]) -> None:
    plan, store = asked
    assert set(exported) == {"truthfulqa", "harmfulness"}
    for reading in plan.readings:
        if not store.has(reading.scores):
            continue
        log, rows = exported[reading.scores.eval], list(read_scores(store.open(reading.scores)))
        assert log.status == "success"
        assert log.eval.model == f"identity_em/{reading.trained.checkpoint.key[:12]}"
        assert log.samples is not None
        kept = [
            row for s in log.samples for v in (s.scores or {}).values() for row in v.metadata["identity_em"]["rows"]
        ]  # type: ignore[index]
        assert sorted(map(str, kept)) == sorted(map(str, rows))
        assert log.results is not None
        for metric in log.results.scores:
            mine = [row["score"] for row in rows if row["metric"] == metric.name]
            read = [score for score in mine if score is not None]
            assert metric.metrics["mean"].value == pytest.approx(math.fsum(read) / len(read))
            assert (metric.scored_samples, metric.unscored_samples) == (len(read), len(mine) - len(read))


def test_exact_probabilities_are_shown_and_texts_are_untrusted(exported: dict[str, EvalLog]) -> None:
    samples = exported["truthfulqa"].samples
    assert samples is not None
    assert samples[0].output.completion.startswith("P(A) = 0.")
    for log in exported.values():
        assert log.eval.viewer is not None
        assert log.eval.viewer.trust_content is False


def test_exporting_again_writes_nothing_anew(asked: tuple[Plan, Store], tmp_path: Path) -> None:
    first = {path: path.stat().st_mtime_ns for path in logs.export(*asked, tmp_path)}
    assert {path: path.stat().st_mtime_ns for path in logs.export(*asked, tmp_path)} == first
    assert not list(tmp_path.glob(".*"))


def test_a_study_that_was_not_run_is_one_clear_line(asked: tuple[Plan, Store], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run it first"):
        logs.export(asked[0], Store(tmp_path / "none"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(viewed.BROWSER is None, reason="no Chromium")
def test_the_viewer_opens_a_log_and_shows_a_sample(asked: tuple[Plan, Store], tmp_path: Path) -> None:
    plan, store = asked
    path = next(path for path in logs.export(plan, store, tmp_path / "logs") if "truthfulqa" in path.name)
    log = read_eval_log(str(path))
    assert log.samples is not None
    port = _free()
    command = [sys.executable, "-m", "identity_em", "view", str(tmp_path / "logs"), "--port", str(port)]
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        page = f"http://127.0.0.1:{port}/#/logs/{path.name}"
        shown = viewed.text_of(page, str(log.samples[0].id), tmp_path / "one")
        assert "identity_em/truthfulqa" in shown
        assert str(log.samples[0].id) in shown
        one = viewed.text_of(f"{page}/samples/sample/{log.samples[0].id}/1/messages", "P(A) =", tmp_path / "two")
        assert log.samples[0].output.completion.splitlines()[0].split("  ")[0] in one
    finally:
        process.terminate()
        process.wait(20)


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait(port: int) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/logs", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("the viewer did not start")
