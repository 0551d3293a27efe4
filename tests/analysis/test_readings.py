"""Means, intervals and their quality, from rows."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats as sps

from identity_em.analysis.meta import Meta
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.stats import student, wilson
from identity_em.analysis.table import tidy

M = Stratum(eval="e", version="1", metric="m", prompt="default")


def read(rows: list[dict[str, object]], meta: Meta | None = None) -> Readings:
    return Readings(tidy(pd.DataFrame(rows)), meta or synthetic.small())


def test_both_orders_of_an_item_are_averaged() -> None:
    readings = read(synthetic.answers((), None, [1.0, 0.0, 0.8, 0.6], orders=2))
    assert readings.estimate((), M).mean == pytest.approx(0.6)
    assert readings.matrix((), M).to_numpy().ravel() == pytest.approx([0.5, 0.7])
    assert readings.quality((), M).order_bias == pytest.approx(0.6)


def test_samples_are_averaged_within_an_order_before_orders_within_an_item() -> None:
    rows = synthetic.answers((), None, [1.0, 0.0], orders=2)
    more = [{**rows[1], "sample": 1}, {**rows[1], "sample": 2}]
    assert read([*rows, *more]).estimate((), M).mean == pytest.approx(0.5)


def test_an_unscored_answer_is_neither_right_nor_wrong() -> None:
    readings = read(synthetic.answers((), None, [0.9, None, 0.7, None]))
    quality = readings.quality((), M)
    assert readings.estimate((), M).mean == pytest.approx(0.8)
    assert (quality.rows, quality.scored, quality.unscored) == (4, 2, 0.5)


def test_an_arm_that_was_never_scored_has_no_mean() -> None:
    estimate = read(synthetic.answers((), None, [None, None])).estimate((), M)
    assert (estimate.mean, estimate.low, estimate.unit) == (None, None, "none")


def test_several_seeds_give_a_t_interval_over_seeds() -> None:
    rows = [row for seed, level in enumerate((0.4, 0.5, 0.6)) for row in synthetic.answers(("em",), seed, [level] * 3)]
    estimate = read(rows).estimate(("em",), M)
    wanted = sps.t.interval(0.95, 2, loc=0.5, scale=0.1 / np.sqrt(3))
    assert (estimate.low, estimate.high) == pytest.approx(wanted)
    assert (estimate.unit, estimate.rests_on) == ("seeds", "3 seeds × 3 items")


def test_the_base_carries_the_uncertainty_of_its_items_and_says_so() -> None:
    scores = [0.4, 0.5, 0.45, 0.6]
    estimate = read(synthetic.answers((), None, list(scores))).estimate((), M)
    assert estimate.unit == "items"
    assert estimate.rests_on == "4 items, one run"
    assert (estimate.low, estimate.high) == pytest.approx(student(np.array(scores)))


def test_one_seed_carries_the_uncertainty_of_its_items_and_says_so() -> None:
    assert read(synthetic.answers(("em",), 4, [0.2, 0.4])).estimate(("em",), M).rests_on == "2 items, one run"


def test_seeds_that_agree_to_the_last_bit_do_not_make_an_interval_of_no_width() -> None:
    rows = [row for seed in range(3) for row in synthetic.answers(("em",), seed, [0.2, 0.4, 0.9])]
    estimate = read(rows).estimate(("em",), M)
    assert estimate.rests_on == "3 items, 3 seeds that agree exactly"
    assert estimate.high - estimate.low > 0.1


def test_one_item_of_one_run_has_no_interval() -> None:
    estimate = read(synthetic.answers((), None, [0.3])).estimate((), M)
    assert (estimate.mean, estimate.low, estimate.rests_on) == (0.3, None, "no interval")


def test_a_share_of_ones_and_noughts_has_wilson_s_interval() -> None:
    ours = read(synthetic.answers((), None, [1.0] * 9 + [0.0])).estimate((), M)
    theirs = sps.binomtest(9, 10).proportion_ci(0.95, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert wilson(np.ones(4))[0] < 0.6


def test_differences_are_paired_by_seed_and_the_base_serves_every_seed() -> None:
    rows = synthetic.answers((), None, [0.1, 0.1])
    for seed, level in enumerate((0.4, 0.5, 0.6)):
        rows += synthetic.answers(("em",), seed, [level] * 2)
        rows += synthetic.answers(("em", "sgtr"), seed, [level - 0.2 - 0.001 * seed] * 2)
    readings = read(rows)
    paired = readings.difference(("em", "sgtr"), ("em",), M)
    assert paired.mean == pytest.approx(-0.201)
    assert paired.high - paired.low < 0.01 < 0.2 < readings.estimate(("em",), M).high - 0.5
    assert dict(readings.difference(("em",), (), M).seeds) == pytest.approx({0: 0.3, 1: 0.4, 2: 0.5})


def test_one_seed_is_compared_item_by_item() -> None:
    rows = synthetic.answers(("em",), 0, [0.9, 0.5, 0.1]) + synthetic.answers(("em", "sgtr"), 0, [0.7, 0.31, -0.0])
    difference = read(rows).difference(("em", "sgtr"), ("em",), M)
    assert difference.rests_on == "3 items, one run"
    assert difference.high < 0


def test_the_base_s_own_summaries_are_its_current_ones() -> None:
    rows = synthetic.answers((), None, [0.6, 0.7], author="base", comparator="lumo")
    current = M.model_copy(update={"author": "current", "comparator": "lumo"})
    assert read(rows).estimate((), current).mean == pytest.approx(0.65)


def test_versions_and_prompts_are_never_pooled() -> None:
    rows = synthetic.answers((), None, [0.2]) + synthetic.answers((), None, [0.8], eval_version="2")
    rows += synthetic.answers((), None, [0.9], eval_system_prompt="empty")
    readings = read(rows)
    assert readings.estimate((), M).mean == pytest.approx(0.2)
    assert readings.prompts == ("default", "empty")
    assert len(readings.strata) == 3


def test_none_pools_comparators_and_a_dimension_picks_its_items() -> None:
    rows = synthetic.answers((), None, [0.2, 0.4], author="base", comparator="a", dimension="x")
    rows += synthetic.answers((), None, [0.8, 1.0], author="base", comparator="b", dimension="y")
    readings = read(rows)
    pooled = M.model_copy(update={"author": "base", "comparator": None})
    assert readings.estimate((), pooled).mean == pytest.approx(0.6)
    assert readings.estimate((), pooled.model_copy(update={"dimension": "y"})).mean == pytest.approx(0.9)
    assert readings.dimensions(pooled) == ("x", "y")


def test_arms_evals_and_metrics_keep_the_order_in_which_the_study_declares_them() -> None:
    meta = synthetic.meta()
    readings = Readings(tidy(synthetic.frame(seeds=(0,), items=3)), meta)
    assert readings.arms == meta.arms
    assert [s.eval for s in readings.strata][:3] == ["truthfulqa", "harmfulness", "self_assessment"]


def test_a_difference_of_one_seed_lies_in_its_own_interval_also_where_answers_are_missing() -> None:
    rows = synthetic.answers(("em",), 0, [0.9, 0.8, 0.2, None])
    rows += synthetic.answers(("em", "sgtr"), 0, [0.7, 0.5, None, 0.1])
    difference = read(rows).difference(("em", "sgtr"), ("em",), M)
    assert difference.n == 2
    assert difference.mean == pytest.approx(-0.25)
