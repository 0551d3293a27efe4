"""The trainer's environment is found by variable, PATH, default folder; what is half made is not found."""

import sys
from pathlib import Path

import pytest

from identity_em import separate
from identity_em.errors import MissingEnvironment
from identity_em.training import environment


def fake(folder: Path, version: str = environment.AXOLOTL) -> Path:
    """An environment by its files alone."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "bin" / "axolotl").write_text("#!/bin/sh\n")
    (folder / "bin" / "axolotl").chmod(0o755)
    (folder / "lib" / "python3.11" / "site-packages" / f"axolotl-{version}.dist-info").mkdir(parents=True)
    return folder


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable, nothing on PATH, an empty data home."""
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(separate, "_try", lambda command, folder: False)  # no test installs anything


def test_where_there_is_none_the_error_says_how_to_get_one() -> None:
    assert environment.find_trainer() is None
    with pytest.raises(MissingEnvironment, match="identity-em setup trainer"):
        environment.require_trainer()


def test_the_variable_names_a_folder_or_an_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = fake(tmp_path / "env") / "bin" / "python"
    for named in (tmp_path / "env", python):
        monkeypatch.setenv(environment.VARIABLE, str(named))
        assert environment.find_trainer() == python


def test_a_variable_that_names_nothing_is_an_error_and_no_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(environment.default_folder())
    monkeypatch.setenv(environment.VARIABLE, str(tmp_path / "typo"))
    with pytest.raises(MissingEnvironment, match=environment.VARIABLE):
        environment.require_trainer()


def test_the_path_comes_before_the_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default, other = fake(environment.default_folder()), fake(tmp_path / "other")
    assert environment.find_trainer() == default / "bin" / "python"
    monkeypatch.setenv("PATH", str(other / "bin"))
    assert environment.find_trainer() == other / "bin" / "python"


def test_another_axolotl_is_not_taken() -> None:
    fake(environment.default_folder(), "0.12.0")
    assert environment.find_trainer() is None


def test_a_half_made_environment_is_not_found() -> None:
    (fake(environment.default_folder()) / environment.UNFINISHED).touch()
    assert environment.find_trainer() is None


def test_setup_returns_what_is_there_already() -> None:
    there = fake(environment.default_folder())
    assert environment.setup_trainer() == there / "bin" / "python"


def test_setup_does_not_touch_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(MissingEnvironment, match="something else"):
        environment.setup_trainer(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt"]


def test_a_failed_setup_names_its_log_and_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / environment.UNFINISHED).touch()
    (tmp_path / "new" / "setup.log").write_text("ERROR: no matching distribution\n")
    monkeypatch.setattr(separate, "_try", lambda command, folder: "venv" in command)
    with pytest.raises(MissingEnvironment, match=r"no matching distribution.*setup\.log"):
        environment.setup_trainer(tmp_path / "new")
    assert (tmp_path / "new" / environment.UNFINISHED).exists()


def test_doctor_finds_each_thing_or_says_how_to_get_it(tmp_path: Path) -> None:
    found = {finding.name: finding for finding in environment.doctor(tmp_path)}
    assert found["torch"].ok
    assert found["store"].ok
    assert not found["trainer"].ok
    assert all(finding.ok or finding.how for finding in found.values())


def test_a_freeze_lists_distributions_with_versions() -> None:
    assert any(line.startswith("torch==") for line in environment.freeze(Path(sys.executable)))
