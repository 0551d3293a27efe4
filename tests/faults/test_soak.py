"""`make soak`: whatever is killed, and whenever, the table ends equal to the undisturbed one and nothing is left."""

import random
import shutil

import pytest

from identity_em.training.axolotl_worker import OWN
from tests.faults.conftest import Place, kills
from tests.faults.killing import TARGETS, Soak, forget, left_over, processes_about

pytestmark = [pytest.mark.axolotl, pytest.mark.slow]

# The study is run to its end, compared, and begun anew after this many kills.
A_LIFE = 10


def test_kills_of_runner_worker_trainer_and_report_leave_the_same_tables_and_nothing_else(
    undisturbed: Place, place: Place
) -> None:
    finished = Place(place.root / "finished")
    shutil.copytree(undisturbed.root, finished.root)
    other = Place(place.root / "other")
    other.root.mkdir()
    soak = Soak(other, finished, random.Random(20261121))
    for number in range(kills()):
        if number and number % A_LIFE == 0:
            _ends_well(other, undisturbed)
            forget(other)
        soak.kill(TARGETS[number % len(TARGETS)])
        print(soak.told[-1])
    _ends_well(other, undisturbed)
    _ends_well(finished, undisturbed)
    assert soak.orphans == []


def _ends_well(place: Place, undisturbed: Place) -> None:
    place.run()
    assert place.table.read_bytes() == undisturbed.table.read_bytes()
    assert left_over(place.store) == []
    # Only a trainer that is killed itself, and whose worker dies before it knows, leaves its temporary files.
    assert len(list(place.temporary.glob(f"{OWN}*"))) <= min(kills(), A_LIFE) // len(TARGETS) + 1
    assert processes_about(place.store) == []
