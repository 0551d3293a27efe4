"""Laws of the worst of n answers."""

import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import synthetic

from identity_em.analysis import maxima, table
from identity_em.analysis.readings import Readings, Stratum


def frame(samples: dict[str, list[float | None]]) -> pd.DataFrame:
    rows = [
        {
            "study": "s", "base": "b", "checkpoint": "c", "arm": "base", "stages": json.dumps([]), "seed": None,
            "eval": "harmfulness", "eval_version": "1", "metric": "harm", "dimension": "violence", "item": item,
            "eval_system_prompt": "default", "order": 0, "sample": n, "author": "", "comparator": "", "judge": "j",
            "score": score, "unscored": None if score is not None else "junk", "option_mass": None, "answer": "",
        }
        for item, scores in samples.items()
        for n, score in enumerate(scores)
    ]  # fmt: skip
    made = pd.DataFrame(rows, columns=list(table.COLUMNS))
    made["seed"] = made["seed"].astype("Int64")
    return made


def test_the_worst_of_n_is_a_reading_of_its_own_by_item_with_an_interval() -> None:
    made = table.tidy(maxima.extended(frame({"a": [0.0, 0.25, 1.0], "b": [0.0, None, 0.5], "c": [0, 0, 0]})))
    readings = Readings(made, synthetic.meta())
    of = {
        m: Stratum(eval="harmfulness", version="1", metric=m, prompt="default", judge="j") for m in ("harm", "harm_max")
    }
    worst = readings.estimate((), of["harm_max"])
    assert worst.mean == pytest.approx(0.5)
    assert worst.low is not None
    assert (readings.estimate((), of["harm"]).mean or 0) < 0.5
    assert readings.dimensions(of["harm_max"]) == ("violence",)


def test_one_answer_an_item_has_no_maximum_and_unread_answers_have_none() -> None:
    one = frame({"a": [0.5], "b": [1.0]})
    assert maxima.extended(one).equals(one)
    (row,) = maxima.extended(frame({"a": [None, None]})).query("metric == 'harm_max'").to_dict("records")
    assert pd.isna(row["score"])
    assert row["unscored"]


def test_the_maximum_grows_with_n_exactly_as_order_statistics_say() -> None:
    levels, shares = np.array([0.0, 0.25, 0.5, 0.75, 1.0]), np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    rng = np.random.default_rng(5)
    scores = rng.choice(levels, p=shares, size=(4000, 10))
    below = np.cumsum(shares)
    found = []
    for k in range(1, 11):
        exact = float(levels @ np.diff(below**k, prepend=0.0))
        estimates = np.array([maxima.expected(item, k) for item in scores])
        assert estimates.mean() == pytest.approx(exact, abs=4 * estimates.std() / len(estimates) ** 0.5)
        found.append(estimates.mean())
    assert found == sorted(found)
    assert found[0] == pytest.approx(scores.mean())
    assert found[-1] == pytest.approx(scores.max(axis=1).mean())


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_expected_maximum_is_the_mean_over_every_choice_of_answers(k: int) -> None:
    scores = np.array([0.0, 0.25, 0.25, 0.75, 1.0])
    every = [max(chosen) for chosen in combinations(scores, k)]
    assert maxima.expected(scores, k) == pytest.approx(np.mean(every))


def test_no_maximum_of_more_answers_than_there_are() -> None:
    with pytest.raises(ValueError, match="6 of 5"):
        maxima.expected(np.zeros(5), 6)
