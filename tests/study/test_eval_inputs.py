"""Which items an eval asks: named by content, and said in the table; a published one only in the published bytes."""

from pathlib import Path
from typing import Any

import pytest

from identity_em import battery
from identity_em.errors import StudyError
from identity_em.resources import resource
from identity_em.study.artefacts import Prompts, sha256_of
from tests.study.test_plan import planned

POCKET = resource("pocket", "data/truthfulqa.jsonl")


def prompts(tmp_path: Path, **given: object) -> Prompts:
    """What a study of TruthfulQA alone plans to ask."""
    return planned(tmp_path, evals=[{"truthfulqa": given}], checks=[]).readings[0].scores.responses.prompts


def label(asked: Prompts) -> str:
    return battery.get(asked.name).label(asked)


def test_the_version_says_whose_items_were_asked(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_bytes(POCKET.read_bytes())
    assert label(prompts(tmp_path, items="pocket")) == "1 pocket"
    assert label(prompts(tmp_path, items="pocket:truthfulqa.jsonl")) == "1 pocket"
    assert label(prompts(tmp_path, items="mine.jsonl")) == f"1 file {sha256_of(POCKET)[:8]}"
    assert label(prompts(tmp_path, items={"hub": "some/set", "revision": "abc"})) == "1 hub some/set"


def test_a_published_instrument_is_taken_by_its_checksum(tmp_path: Path, reference: Path) -> None:
    copy = reference / "instruments" / "TruthfulQA.csv"
    assert label(prompts(tmp_path, instrument="published", file=str(copy))) == "1 published truthfulqa-790"


def test_a_copy_that_differs_in_a_byte_is_refused_with_both_checksums(tmp_path: Path) -> None:
    (tmp_path / "copy.csv").write_bytes(POCKET.read_bytes())
    with pytest.raises(StudyError) as caught:
        prompts(tmp_path, instrument="published", file="copy.csv")
    assert sha256_of(POCKET) in str(caught.value)
    assert "b8d8ef1e12f98b4f2a9f47abc9765da0640b182b6c5d9b92f0c1a1f2f1e02e5c" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "`items`"),
        ({"instrument": "published"}, "`file`"),
        ({"instrument": "public", "file": "x"}, "instrument: public"),
        ({"instrument": "published", "items": "pocket"}, "instrument: published"),
        ({"items": 3}, "items: 3"),
    ],
)
def test_items_that_cannot_be_found_are_one_clear_line(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    with pytest.raises(StudyError, match=says):
        prompts(tmp_path, **given)


def test_sampling_as_published_is_so_many_answers_an_item_half_to_each_order(tmp_path: Path) -> None:
    plan = planned(tmp_path, evals=[{"intentions": {"items": "pocket", "sample": 500}}], checks=[], contrasts={})
    sampling = plan.readings[0].scores.responses.sampling
    assert sampling is not None
    assert (sampling.n, sampling.temperature, sampling.top_p, sampling.top_k) == (250, 1.0, 1.0, 0)
    with pytest.raises(StudyError, match="sample"):
        planned(tmp_path, evals=[{"harmfulness": {"items": "pocket", "sample": 5}}], checks=[], contrasts={})


@pytest.mark.parametrize(
    ("name", "file", "says"),
    [
        ("harmfulness", "harm_320.jsonl", "harm_320"),
        ("harmfulness", "harm_350.txt", "harm_350"),
        ("two_ai", "two_ai_150.json", "two_ai_150"),
        ("self_assessment", "self_assessment_decision_100.txt", "decision_100"),
    ],
)
def test_every_published_instrument_is_known_by_its_bytes_alone(
    name: str, file: str, says: str, tmp_path: Path, reference: Path
) -> None:
    given = {name: {"instrument": "published", "file": str(reference / "instruments" / file)}}
    found = planned(tmp_path, evals=[given], checks=[], contrasts={}).readings[0].scores.responses.prompts
    assert label(found) == f"1 published {says}"
    changed = (reference / "instruments" / file).read_bytes()
    (tmp_path / file).write_bytes(changed[:-1] + bytes([changed[-1] ^ 1]))
    from identity_em.study.artefacts import sha256_of

    with pytest.raises(StudyError) as caught:
        planned(tmp_path, evals=[{name: {**given[name], "file": file}}], checks=[], contrasts={})
    assert sha256_of(tmp_path / file) in str(caught.value)
    assert sha256_of(reference / "instruments" / file) in str(caught.value)


def test_two_entries_that_would_be_pooled_under_one_version_are_refused(tmp_path: Path) -> None:
    once = {"truthfulqa": {"items": "pocket"}}
    with pytest.raises(StudyError, match=r"truthfulqa \(version 1 pocket\) twice"):
        planned(tmp_path, evals=[once, {"truthfulqa": {"items": "pocket", "limit": 3}}], checks=[])
    other = {"truthfulqa": {"items": "pocket", "protocol": "published"}}
    found = planned(tmp_path, evals=[once, other], checks=[])
    labels = {label(r.scores.responses.prompts) for r in found.readings}
    assert labels == {"1 pocket", "1 pocket published"}
