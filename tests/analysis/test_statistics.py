"""The statistics against kept libraries, and what may and may not be concluded."""

import numpy as np
import pandas as pd
import pytest
import synthetic
from scipy import stats as sps

from identity_em.analysis import calibration, crossed, families, mixed, relations, shape
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.stats import Estimate
from identity_em.analysis.table import tidy

M = Stratum(eval="e", version="1", metric="m", prompt="default")


def layout(seeds: int = 6, items: int = 40, of_seeds: float = 0.1, of_items: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(3)
    parts = (of_items * rng.standard_normal((items, 1)), of_seeds * rng.standard_normal((1, seeds)))
    return 0.5 + parts[0] + parts[1] + 0.15 * rng.standard_normal((items, seeds))


def test_the_error_of_a_crossed_mean_agrees_with_a_mixed_model() -> None:
    mixedlm = pytest.importorskip("statsmodels.formula.api").mixedlm
    values = layout()
    rows = pd.DataFrame(
        [(10 * values[i, s], i, s, 1) for i in range(values.shape[0]) for s in range(values.shape[1])],
        columns=["y", "item", "seed", "all"],
    )
    terms = {"item": "0 + C(item)", "seed": "0 + C(seed)"}
    fit = mixedlm("y ~ 1", rows, groups="all", vc_formula=terms, re_formula="0").fit()
    assert float(crossed.spread((crossed.parts(values),)).se) == pytest.approx(
        float(fit.bse["Intercept"]) / 10, rel=0.02
    )


def test_the_cross_check_of_many_items_in_blocks_agrees_with_our_error() -> None:
    values = layout(items=240) - 0.5
    found = mixed.cross_check(pd.DataFrame(values))
    assert found is not None
    assert found.mean == pytest.approx(values.mean())
    assert found.se == pytest.approx(float(crossed.spread((crossed.parts(values),)).se), rel=0.05)
    assert mixed.cross_check(pd.DataFrame(values[:, :1])) is None


def test_one_seed_leaves_the_error_of_the_items() -> None:
    values = layout(seeds=1)
    assert float(crossed.spread((crossed.parts(values),)).se) == pytest.approx(sps.sem(values[:, 0]))


def test_seeds_that_agree_do_not_make_items_certain() -> None:
    values = layout(of_seeds=0.0, seeds=3)
    items = values.mean(axis=1)
    assert float(crossed.spread((crossed.parts(values),)).se) >= sps.sem(items) - 1e-12


def test_few_seeds_keep_their_few_degrees_of_freedom() -> None:
    spread = crossed.spread((crossed.parts(layout(of_items=0.01, items=400)),))
    assert float(spread.df) == pytest.approx(5, abs=0.2)


def test_arms_of_other_seeds_or_items_are_compared_as_they_are() -> None:
    rows = synthetic.answers((), None, [0.1] * 4)
    for seed in range(3):
        rows += synthetic.answers(("em",), seed, [0.5 + 0.01 * seed, 0.6, 0.7, 0.6])
        rows += synthetic.answers(("em", "sgtr"), seed + 5, [0.3 + 0.01 * seed, 0.4, 0.5, 0.4])
    other = pd.DataFrame(synthetic.answers(("em", "longer"), 0, [0.2, 0.3]))
    other["item"] = "other " + other["item"]
    readings = Readings(tidy(pd.concat([pd.DataFrame(rows), other])), synthetic.small())
    unpaired = readings.difference(("em", "sgtr"), ("em",), M)
    assert unpaired.mean == pytest.approx(-0.2)
    assert not unpaired.spans_zero
    separate = readings.difference(("em", "longer"), ("em",), M)
    assert separate.mean == pytest.approx(0.25 - 0.6025, abs=0.01)
    assert separate.low is not None


def test_corrections_agree_with_statsmodels() -> None:
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    values = [0.001, 0.04, 0.03, 0.5, 0.009, 0.04]
    assert families.holm(values) == pytest.approx(list(multipletests(values, method="holm")[1]))
    assert families.benjamini_hochberg(values) == pytest.approx(list(multipletests(values, method="fdr_bh")[1]))


def test_equivalence_is_two_one_sided_tests() -> None:
    values = np.array([0.01, -0.01, 0.02, 0.0, -0.005])
    estimate = Estimate(mean=float(values.mean()), se=float(sps.sem(values)), df=4.0)
    p = max(
        sps.ttest_1samp(values, -0.02, alternative="greater").pvalue,
        sps.ttest_1samp(values, 0.02, alternative="less").pvalue,
    )
    for margin in (0.01, 0.02, 0.03):
        inner = estimate.inner
        assert inner is not None
        assert estimate.equivalent(margin) is (-margin < inner[0] and inner[1] < margin)
    assert estimate.equivalent(0.02) is bool(p < 0.05)
    assert not Estimate(mean=0.0).equivalent(0.5)


def test_power_grows_with_seeds_and_agrees_with_statsmodels() -> None:
    power = pytest.importorskip("statsmodels.stats.power").TTestPower()
    ours = [families.power(0.05, seeds=n, of_seeds=0.04, of_items=0.0) for n in (3, 5, 10)]
    theirs = [power.power(0.05 / 0.04, n, 0.05) for n in (3, 5, 10)]
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert ours == sorted(ours)
    assert families.seeds_needed(0.05, Estimate(mean=0.05, of_seeds=0.04, of_items=0.0)) == 8
    assert families.seeds_needed(0.01, Estimate(mean=0.05, of_seeds=0.04, of_items=0.02)) is None


def test_a_seed_far_from_the_rest_and_two_groups_are_told_apart() -> None:
    lone = shape.split(pd.Series([0.80, 0.81, 0.79, 0.20, 0.80], index=range(5)))
    assert lone is not None
    assert lone.words == "seed 3 stands 0.60 apart from the others"
    assert lone.p < 0.001
    groups = shape.split(pd.Series([0.80, 0.20, 0.79, 0.21, 0.80], index=range(5)))
    assert groups is not None
    assert "two groups, {1, 3} and {0, 2, 4}" in groups.words
    even = shape.split(pd.Series([0.80, 0.82, 0.79, 0.81, 0.83], index=range(5)))
    assert even is not None
    assert even.p > 0.5


def test_a_correlation_across_stages_need_not_hold_within_one() -> None:
    rows = []
    for arm, level in ((), 0.1), (("em",), 0.8), (("em", "sgtr"), 0.7), (("em", "longer"), 0.75):
        for seed in range(4) if arm else (None,):
            rng = np.random.default_rng([seed or 0, len(arm), len(arm[-1]) if arm else 0])
            for metric in ("m", "n"):
                scores = list(np.clip(level + 0.02 * rng.standard_normal(3), 0, 1))
                rows += synthetic.answers(arm, seed, scores, metric=metric)
    readings = Readings(tidy(pd.DataFrame(rows)), synthetic.small())
    found = {r.group: r for r in relations.relate(readings, M, M.model_copy(update={"metric": "n"}))}
    assert (found["across all arms"].rho or 0) > 0.7
    assert found["within arms of 1 stage"].rho is None
    assert abs(found["within arms, over seeds"].rho or 1) < 0.7


def test_a_calibration_of_one_layout_keeps_its_word() -> None:
    found = calibration.run(calibration.Layout(seeds=5, items=50, seed_sd=0.05), 400)
    assert found.passes
    assert 0.9 < found.coverage <= 1
    assert found == calibration.run(found.layout, 400)


def test_two_judges_agree_beyond_chance_or_do_not() -> None:
    one = pd.DataFrame({0: [0.0, 1.0, 0.0, 1.0, 0.9, 0.1]})
    same, other = relations.agreement([(one, one)]), relations.agreement([(one, 1 - one)])
    assert same == (pytest.approx(1.0), pytest.approx(1.0), 6)
    assert other[0] == pytest.approx(-1.0)
    assert relations.agreement([(one.iloc[:2], one.iloc[:2])]) == (None, None, 2)


def test_a_rank_test_over_items_agrees_with_scipy() -> None:
    rows = synthetic.answers((), None, [0.1, 0.2, 0.3, 0.4, 0.5])
    rows += synthetic.answers(("em",), 0, [0.3, 0.1, 0.6, 0.8, 0.4])
    readings = Readings(tidy(pd.DataFrame(rows)), synthetic.small())
    wanted = sps.wilcoxon([0.2, -0.1, 0.3, 0.4, -0.1]).pvalue
    assert relations.wilcoxon(readings, ("em",), (), M) == pytest.approx(wanted)
