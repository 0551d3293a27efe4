"""What may be said of a contrast, and of a check."""

import pandas as pd
import pytest
import synthetic

from identity_em.analysis import checks, contrasts, validity
from identity_em.analysis.meta import Check
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.table import tidy

M = Stratum(eval="e", version="1", metric="m", prompt="default")
EM, TREATED, CONTROL = ("em",), ("em", "sgtr"), ("em", "longer")


def study(
    treated: tuple[float, ...], control: tuple[float, ...], em: tuple[float, ...] = (0.60, 0.61, 0.59)
) -> Readings:
    rows = synthetic.answers((), None, [0.1, 0.2, 0.1])
    for arm, levels in ((EM, em), (TREATED, treated), (CONTROL, control)):
        rows += [row for seed, level in enumerate(levels) for row in synthetic.answers(arm, seed, [level] * 3)]
    return Readings(tidy(pd.DataFrame(rows)), synthetic.small())


def find(readings: Readings) -> contrasts.Finding:
    return contrasts.find(readings, "reversal", M)


def test_an_interval_that_spans_zero_is_inconclusive_whatever_its_mean() -> None:
    found = find(study(treated=(0.1, 0.9, 0.2), control=(0.6, 0.6, 0.6)))
    assert found.treatment.direction == "inconclusive"
    assert found.treatment.words.startswith("inconclusive: ")
    assert "no effect" not in found.treatment.words


def test_an_interval_that_misses_zero_says_the_side_and_the_size() -> None:
    found = find(study(treated=(0.30, 0.32, 0.28), control=(0.50, 0.52, 0.48)))
    assert found.treatment.words == "lower by 0.30 [0.28, 0.32]"
    assert found.control is not None
    assert found.control.direction == "lower"


def test_the_excess_is_the_treatment_s_effect_less_the_control_s() -> None:
    readings = study(treated=(0.30, 0.32, 0.28), control=(0.50, 0.50, 0.51))
    found = find(readings)
    assert found.excess is not None
    assert found.control is not None
    assert found.excess.estimate.mean == pytest.approx(found.treatment.estimate.mean - found.control.estimate.mean)
    assert dict(found.excess.estimate.seeds) == pytest.approx({0: -0.20, 1: -0.18, 2: -0.23})


def test_a_control_that_does_as_much_leaves_an_inconclusive_excess() -> None:
    found = find(study(treated=(0.30, 0.32, 0.28), control=(0.31, 0.30, 0.29)))
    assert found.treatment.direction == "lower"
    assert found.excess is not None
    assert found.excess.direction == "inconclusive"


def test_a_contrast_is_not_readable_where_its_reference_was_not_shown_to_act() -> None:
    assert find(study(treated=(0.3, 0.3, 0.3), control=(0.3, 0.3, 0.3))).readable
    idle = find(study(treated=(0.3, 0.31, 0.3), control=(0.3, 0.3, 0.3), em=(0.1, 0.2, 0.1)))
    assert not idle.readable


def test_an_interval_just_off_zero_is_not_printed_as_touching_it() -> None:
    found = find(study(treated=(0.5995, 0.6095, 0.5893), control=(0.6, 0.6, 0.6)))
    assert found.treatment.words.startswith("lower by 0.001 [above 0, 0.001]")


def test_an_arm_that_was_not_measured_is_said_to_be_so() -> None:
    readings = Readings(tidy(pd.DataFrame(synthetic.answers(EM, 0, [0.5, 0.6]))), synthetic.small())
    assert find(readings).treatment.words == "not measured"


def result(**condition: object) -> checks.CheckResult:
    readings = study(treated=(0.30, 0.32, 0.28), control=(0.60, 0.55, 0.60))
    values = {"says": "c", "eval": "e", "metric": "m", "arm": TREATED, **condition}
    return checks.run(readings, Check.model_validate(values))


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"below": EM}, True),
        ({"below": EM, "margin": 0.4}, False),
        ({"above": ()}, True),
        ({"above": EM}, False),
        ({"between": ((), EM)}, True),
        ({"between": (EM, ())}, True),
        ({"within": (0.28, 0.32)}, True),
        ({"within": (0.29, 0.32)}, False),
        ({"near": EM, "margin": 0.35}, True),
        ({"near": EM, "margin": 0.25}, False),
        ({"arm": CONTROL, "near": EM, "margin": 0.05}, False),
    ],
)
def test_a_check_holds_only_where_it_holds_in_every_seed(condition: dict[str, object], holds: bool) -> None:
    assert result(**condition).holds is holds


def test_a_check_reports_each_seed_and_what_it_was_compared_with() -> None:
    seeds = result(below=EM).seeds
    assert [seed.seed for seed in seeds] == [0, 1, 2]
    assert [seed.value for seed in seeds] == pytest.approx([0.30, 0.32, 0.28])
    assert [seed.references[0] for seed in seeds] == pytest.approx([0.60, 0.61, 0.59])


def test_a_check_on_an_arm_that_was_not_run_neither_holds_nor_fails() -> None:
    assert result(arm=("nothing",), above=()).holds is None
    assert result(metric="unheard of", above=()).holds is None


def test_planted_effects_are_found_in_every_seed() -> None:
    readings = Readings(tidy(synthetic.frame()), synthetic.meta())
    assert [checks.run(readings, check).holds for check in readings.meta.checks] == [True] * 7


def test_a_control_of_fewer_steps_is_pointed_out() -> None:
    found = {(m.contrast, m.role): m.equal for m in validity.matches(synthetic.meta())}
    assert found["prevention", "treatment"] is True
    assert found["prevention", "control"] is False


def test_every_cell_that_asked_a_model_has_its_quality() -> None:
    readings = Readings(tidy(synthetic.frame(items=6)), synthetic.meta())
    cells = validity.cells(readings)
    assert len(cells) == 15 * 3 + 15 * 2 * 2
    assert not any(cell.stratum.shortcut for cell in cells)
    assert 0 < sum(cell.quality.unscored for cell in cells) / len(cells) < 0.1
    bias = [cell.quality.order_bias or 0.0 for cell in cells]
    assert sum(bias) / len(bias) == pytest.approx(synthetic.ORDER_BIAS, abs=0.02)
