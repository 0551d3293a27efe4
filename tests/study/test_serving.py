"""Who answers is in the key of the answers, and in nothing that is trained."""

from pathlib import Path

import pytest
import yaml

from identity_em.errors import StudyError
from identity_em.resources import resource
from identity_em.study import plan as planning
from identity_em.study.artefacts import Responses

PRESET = planning.find("pocket-mini")


def test_a_served_study_trains_the_same_checkpoints_and_asks_them_anew() -> None:
    resident, served = planning.plan(PRESET), planning.plan(PRESET, serving="served")
    assert [c.key for c in served.trainings] == [c.key for c in resident.trainings]
    assert len(served.readings) == len(resident.readings)
    for ours, theirs in zip(resident.readings, served.readings, strict=True):
        assert ours.scores.key != theirs.scores.key
        assert theirs.scores.responses.serving == "served"
        assert theirs.scores.responses.checkpoint == ours.scores.responses.checkpoint


def test_what_is_trained_on_is_answered_by_the_resident_model() -> None:
    served = planning.plan(PRESET, serving="served")
    before = {a.key for a in served.before_serving}
    responses = [a for a in served.artefacts if isinstance(a, Responses)]
    assert {a.serving for a in responses if a.key in before} <= {"resident"}
    assert {a.serving for a in responses if a.key not in before} == {"served"}


def test_resident_answers_keep_the_keys_they_had_before_there_were_servers() -> None:
    for artefact in planning.plan(PRESET).artefacts:
        assert "serving" not in artefact.canonical


def test_the_study_itself_may_say_so(tmp_path: Path) -> None:
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body["model"]["serving"] = "served"
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(body))
    said = planning.plan(tmp_path / "study.yaml")
    assert said.served
    assert {r.scores.key for r in said.readings} == {
        r.scores.key for r in planning.plan(PRESET, serving="served").readings
    }


def test_a_merged_chain_cannot_be_served(tmp_path: Path) -> None:
    body = yaml.safe_load(resource("presets", "pocket-mini.yaml").read_text())
    body["model"]["chain"] = "merge"
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(body))
    with pytest.raises(StudyError, match=r"study\.yaml:\d+: found a merged chain for a server"):
        planning.plan(tmp_path / "study.yaml", serving="served")
