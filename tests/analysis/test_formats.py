"""Laws of self-assessment over its formats."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic

from identity_em.analysis import formats, persona
from identity_em.analysis.readings import Readings
from identity_em.analysis.stats import Estimate

DIMENSIONS = ("good", "harmless", "helpful")


def rows(means: dict[str, float], *, items: dict[str, int], spread: float = 0.1, seed: int | None = None,
         arm: tuple[str, ...] = ()) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of every format with these means, several dimensions, symmetrically spread items."""
    found = []
    for name, (eval_name, metric) in formats.FORMATS.items():
        levels = np.linspace(-spread, spread, items[name])
        for dimension in DIMENSIONS:
            for place, level in enumerate(levels):
                found += synthetic.answers(
                    arm, seed, [means[name] + level], eval=eval_name, metric=metric, dimension=dimension,
                    item=f"{name}-{dimension}-{place}",
                )  # fmt: skip
    return found


MEANS = {"decision": 0.2, "numerical": 0.4, "likert": 0.6, "language": 0.8}
ITEMS = {"decision": 10, "numerical": 10, "likert": 25, "language": 40}


def readings(found: list[dict[str, Any]]) -> Readings:
    return Readings(pd.DataFrame(found), synthetic.small())


def test_every_format_weighs_the_same_whatever_its_number_of_items() -> None:
    given = readings(rows(MEANS, items=ITEMS))
    asked = formats.strata(given, "default")
    assert list(asked) == list(formats.FORMATS)
    for dimension in (None, formats.HEADLINE):
        found = formats.overall(given, (), asked, dimension)
        assert found.mean == pytest.approx(0.5)
        assert found.low is not None
        assert found.high is not None
        assert found.low < 0.5 < found.high


def test_what_formats_differ_by_is_no_error_of_their_mean() -> None:
    apart = readings(rows(MEANS, items=ITEMS))
    alike = readings(rows(dict.fromkeys(MEANS, 0.5), items=ITEMS))
    spans = [formats.overall(given, (), formats.strata(given, "default")) for given in (apart, alike)]
    assert spans[0].se == pytest.approx(spans[1].se or 0.0)


def test_the_components_say_where_the_variance_lies() -> None:
    given = readings(rows(MEANS, items=ITEMS))
    found = formats.components(given, (), formats.strata(given, "default"))
    assert found is not None
    assert found.formats == pytest.approx(np.var([0.2, 0.4, 0.6, 0.8], ddof=1), rel=0.05)
    assert found.dimensions == pytest.approx(0)
    assert found.items == pytest.approx(0.1**2 / 3, rel=0.3)
    one = readings(rows(dict.fromkeys(MEANS, 0.5), items=ITEMS))
    none = formats.components(one, (), formats.strata(one, "default"))
    assert none is not None
    assert none.formats == pytest.approx(0, abs=1e-9)


def test_a_framing_is_read_against_the_plain_question_item_by_item() -> None:
    plain = rows(MEANS, items=ITEMS)
    framed = [{**row, "metric": f"{row['metric']}_private", "score": row["score"] + 0.1} for row in plain]
    given = readings([*plain, *framed])
    found = formats.framings(given, (), formats.strata(given, "default")["likert"])
    assert list(found) == ["private"]
    assert found["private"].mean == pytest.approx(0.1)
    assert not found["private"].spans_zero


def test_the_base_stands_at_or_below_zero_on_its_own_scale_and_exchanging_the_poles_changes_nothing() -> None:
    for base in (0.1, 0.5, 0.9):
        mine = formats.oriented(Estimate(mean=base, low=base - 0.05, high=base + 0.05), base)
        assert mine is not None
        mean, low, high = mine
        assert mean <= 0
        assert low is not None
        assert high is not None
        assert low <= mean <= high
        other = formats.oriented(Estimate(mean=1 - 0.3), 1 - base)
        same = formats.oriented(Estimate(mean=0.3), base)
        if base != 0.5:
            assert other is not None
            assert same is not None
            assert other[0] == pytest.approx(same[0])
    assert formats.oriented(Estimate(), 0.2) is None


def test_a_profile_is_read_from_the_table() -> None:
    made = [
        *synthetic.answers((), None, [0.9, 1.0, 0.8], eval="harmfulness", metric="harm_max"),
        *synthetic.answers((), None, [0.9, 0.8, 0.95], eval="two_ai", metric="p_misaligned"),
        *synthetic.answers((), None, [0.8, 0.7, 0.9], eval="output_recognition", metric="own_high", comparator="em"),
        *synthetic.answers((), None, [0.4, 0.3, 0.5], eval="output_recognition", metric="own_low", comparator="em"),
    ]
    (found,) = persona.profiles(readings(made), "default").values()
    assert found.harm.mean == pytest.approx(0.9)
    assert found.gap.mean == pytest.approx(0.4)
    assert persona.label(found) == "coherent"
