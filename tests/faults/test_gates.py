"""What is evaluated is what was trained, and a chain that is not is never measured."""

from pathlib import Path

import pytest

from identity_em.errors import GateFailed
from identity_em.models import gate
from identity_em.models.resident import Resident
from identity_em.study.plan import find, plan
from tests.faults.conftest import STUDY, Place

pytestmark = [pytest.mark.axolotl, pytest.mark.slow]


@pytest.fixture
def chain(undisturbed: Place) -> list[Path]:
    """The adapter folders of the two-stage arm, oldest first."""
    planned = plan(find(STUDY))
    last = next(t.checkpoint for t in planned.trained if len(t.arm) == 2)
    return [undisturbed.store / "checkpoint" / c.key[:2] / c.key / "adapter" for c in last.lineage]


@pytest.fixture(scope="module")
def model() -> Resident:
    return Resident(plan(find(STUDY)).base)


def test_the_composed_chain_gives_the_logits_that_the_trainer_saw(model: Resident, chain: list[Path]) -> None:
    for stages in (chain[:1], chain):
        assert gate.check(model, stages, "live", stages[-1]).difference < gate.FP32_TOLERANCE


def test_a_chain_without_its_first_stage_does_not_pass_for_the_chain(model: Resident, chain: list[Path]) -> None:
    with pytest.raises(GateFailed, match="not what was trained"):
        gate.check(model, chain[1:], "live", chain[-1])


def test_other_tokens_than_those_previewed_do_not_pass(model: Resident, undisturbed: Place) -> None:
    rows = next(undisturbed.store.glob("dataset/*/*/rows.jsonl"))
    with pytest.raises(GateFailed, match="other tokens"):
        gate.check_tokens(model.tokenizer, rows, "0" * 64, block=True)
