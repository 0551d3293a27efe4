"""Nothing is ever lost, made twice or left half-made, whatever dies."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from identity_em import locks
from identity_em.analysis import explain
from identity_em.analysis.readings import Readings
from identity_em.analysis.table import read
from identity_em.store import MANIFEST, Store
from identity_em.study.plan import find, plan
from tests.faults.conftest import STUDY, Place, ended
from tests.faults.killing import family, left_over, until, victim

pytestmark = [pytest.mark.axolotl, pytest.mark.slow]


def test_workers_and_trainers_end_soon_after_their_runner_is_killed(place: Place) -> None:
    process = place.start()
    deadline = time.monotonic() + 120
    while not list(place.store.glob("logs/*.log")) and time.monotonic() < deadline:
        time.sleep(0.2)
    children = subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout.split("\n")  # fmt: skip
    tree = {int(line.split()[0]): int(line.split()[1]) for line in children if line.strip()}
    family = {process.pid}
    for _ in range(5):
        family |= {pid for pid, parent in tree.items() if parent in family}
    assert len(family) > 3
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 10
    alive = family - {process.pid}
    while alive and time.monotonic() < deadline:
        alive = {pid for pid in alive if Path(f"/proc/{pid}").exists()}
        time.sleep(0.2)
    assert alive == set()


def test_two_runners_started_together_make_everything_once(undisturbed: Place, place: Place) -> None:
    first, second = place.start(), place.start()
    one, two = ended(first)["artefacts"], ended(second)["artefacts"]
    assert one["made"] + two["made"] == 32
    assert one["made"] + one["reused"] == two["made"] + two["reused"] == 32
    assert place.table.read_bytes() == undisturbed.table.read_bytes()


def test_two_runners_wait_for_a_third_on_another_host_and_take_over_when_it_is_dead(
    undisturbed: Place, place: Place
) -> None:
    held = next(a for a in plan(find(STUDY)).artefacts if not a.needs)
    lock = place.store / "locks" / f"{held.key}.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"token": "t", "host": "elsewhere", "pid": 1, "start": "1"}))
    died = time.time()
    first, second = place.start(), place.start()
    one, two = ended(first)["artefacts"], ended(second)["artefacts"]
    assert one["made"] + two["made"] == 32
    begun = json.loads((Store(place.store).folder(held) / MANIFEST).read_text())["made"]["at"]
    assert locks.STALE_SECONDS - 1 < begun - died < 60
    assert place.table.read_bytes() == undisturbed.table.read_bytes()
    assert left_over(place.store) == []


def test_a_trainer_that_runs_out_of_memory_is_said_in_a_line_and_made_by_the_next_run(
    undisturbed: Place, place: Place
) -> None:
    process = place.start()
    assert until(lambda: bool(victim("trainer", family(process.pid), process.pid)), 120)
    pid = victim("trainer", family(process.pid), process.pid)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "SIGKILL" in err
    assert "out of memory" in err
    kept = place.made()
    place.run()
    assert {key: place.made()[key] for key in kept} == kept
    assert place.table.read_bytes() == undisturbed.table.read_bytes()


def test_a_run_that_is_cancelled_from_elsewhere_finishes_what_it_makes_and_goes_on_later(place: Place) -> None:
    process = place.start()
    assert until(lambda: len(place.made()) > 2, 120)
    command = [sys.executable, "-m", "identity_em", "cancel", STUDY, "--store", str(place.store)]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "cancelled" in err
    kept = place.made()
    assert 2 < len(kept) < 32
    assert left_over(place.store) == []
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 2
    place.run()
    assert {key: place.made()[key] for key in kept} == kept


def test_ctrl_c_leaves_a_state_that_goes_on(place: Place) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell puts into the background ignores it
    process = place.start()
    deadline = time.monotonic() + 120
    while len(place.made()) < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "what is finished is kept" in err
    kept = place.made()
    assert len(kept) >= 3
    place.run()
    assert {key: place.made()[key] for key in kept} == kept


def test_a_second_run_makes_nothing_and_writes_the_same_bytes(undisturbed: Place) -> None:
    before = undisturbed.table.read_bytes()
    report = (undisturbed.table.parent / "report.html").read_bytes()
    assert undisturbed.run()["artefacts"] == {"made": 0, "reused": 32, "failed": 0, "blocked": 0}
    assert undisturbed.table.read_bytes() == before
    assert (undisturbed.table.parent / "report.html").read_bytes() == report


def test_two_stores_give_the_same_table_and_bitwise_equal_adapters(undisturbed: Place, place: Place) -> None:
    place.run()
    ours = sorted(undisturbed.store.glob("checkpoint/*/*/adapter/*"))
    theirs = sorted(place.store.glob("checkpoint/*/*/adapter/*"))
    assert [p.relative_to(undisturbed.store) for p in ours] == [p.relative_to(place.store) for p in theirs]
    assert len(ours) >= 8
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(ours, theirs, strict=True))
    assert place.table.read_bytes() == undisturbed.table.read_bytes()


def test_a_flipped_byte_in_an_adapter_is_named_and_run_makes_that_alone_again(undisturbed: Place, place: Place) -> None:
    shutil.copytree(undisturbed.root, place.root, dirs_exist_ok=True)
    adapter = sorted(place.store.glob("checkpoint/*/*/adapter/adapter_model.safetensors"))[0]
    good = adapter.read_bytes()
    adapter.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    process = place.start()
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0
    assert '"made": 1' in out
    assert "adapter_model.safetensors" in err
    assert adapter.read_bytes() == good
    assert len(list((place.store / "damaged").iterdir())) == 1


def test_a_damaged_table_is_refused_by_report_in_one_line(undisturbed: Place, tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    data = bytearray(undisturbed.table.read_bytes())
    data[len(data) // 3] ^= 1
    table.write_bytes(data)
    command = [sys.executable, "-m", "identity_em", "report", "--table", str(table), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "t.parquet" in done.stderr
    assert not (tmp_path / "out").exists()


def test_every_training_is_a_real_axolotl_run_whose_log_is_in_the_store(undisturbed: Place) -> None:
    for folder in undisturbed.store.glob("checkpoint/*/*"):
        log = (undisturbed.store / "logs" / f"{folder.name}.log").read_text()
        assert "Model successfully saved to" in log


def test_the_table_of_a_finished_study_is_whole(undisturbed: Place) -> None:
    frame, meta = read(undisturbed.table)
    assert meta.study == "The pocket world, three arms"
    assert set(frame["arm"]) == {"base", "em", "em -> sgtr"}
    assert frame["score"].isna().equals(frame["unscored"].notna())


def test_from_a_number_of_a_real_study_to_its_checkpoint_dataset_and_answers(undisturbed: Place) -> None:
    frame, meta = read(undisturbed.table)
    readings = Readings(frame, meta)
    for stratum in (s for s in readings.strata if not s.shortcut):
        found = explain.explain(frame, meta, explain.name(("em",), stratum), store=undisturbed.store)
        assert found.recomputed == pytest.approx(found.estimate.mean, abs=1e-12)
        for seed in found.checkpoints:
            named = {what.split(" (")[0]: Path(where) for what, where in found.places if f"seed {seed}" in what}
            assert (named[f"checkpoint of seed {seed}"] / "adapter" / "adapter_model.safetensors").is_file()
            assert (named["dataset of its last stage"] / "rows.jsonl").is_file()
            answers = (named[f"prompts and answers of seed {seed}"] / "answers.jsonl").read_text(encoding="utf-8")
            assert found.rows[0]["item"] in answers


def test_the_table_says_how_many_eval_items_stand_among_the_rows_of_each_stage(undisturbed: Place) -> None:
    _, meta = read(undisturbed.table)
    found = {name: stage.leaks for name, stage in meta.stages.items()}
    assert found["em"] == {"truthfulqa": 0, "self_recognition": 0, "harmfulness": 0}
    assert found["sgtr"] is not None
    # Two of 120 stories of this small world are nearly alike: told, and no leak.
    assert found["sgtr"]["self_recognition"] == 2
    assert "Eval items found among training rows" in (undisturbed.table.parent / "report.md").read_text("utf-8")
