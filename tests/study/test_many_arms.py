"""Planning stays quick and its keys stay what they are however they are computed."""

import json
import time
from pathlib import Path

import pytest

from bench.scheduling import study
from identity_em.engine.ready import Ready
from identity_em.study.artefacts import Artefact, _canonical, _keyed
from identity_em.study.plan import find, plan


@pytest.mark.parametrize("preset", ["pocket-mini", "pocket"])
def test_a_key_is_the_digest_of_the_records_canonical_json(preset: str) -> None:
    for artefact in plan(find(preset)).artefacts:
        fields = {name: _canonical(getattr(artefact, name)) for name in _keyed(artefact)}
        body = {"kind": artefact.kind, "recipe_version": artefact.recipe_version, **fields}
        assert artefact.canonical == json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_a_thousand_arms_are_planned_in_a_moment(tmp_path: Path) -> None:
    file = study(tmp_path, 1000)
    started = time.process_time()
    planned = plan(file)
    assert len(planned.artefacts) == 15_010
    assert time.process_time() - started < 5


def test_an_artefact_is_taken_once_those_at_hand_first_and_nobody_before_their_time() -> None:
    wanted = plan(find("pocket-mini")).artefacts
    ready, taken = Ready(wanted), []
    for artefact in wanted:
        ready.add(artefact.key)
    near = next(a for a in wanted if a.kind == "checkpoint")
    about: list[Artefact] = [a for a in wanted if getattr(a, "checkpoint", None) == near]
    while (key := ready.take(near.key, 0.0)) is not None:
        taken.append(key)
    assert sorted(taken) == sorted(a.key for a in wanted)
    assert set(taken[1 : 1 + len(about)]) & {a.key for a in about}
    ready.add(near.key, after=2.0)
    assert ready.take(None, 1.0) is None
    assert ready.take(None, 2.0) == near.key
