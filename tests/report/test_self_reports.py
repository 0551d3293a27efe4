"""What a report says of selves: labels with their reasons, formats beside their mean, predictions beside controls."""

from typing import Any

import numpy as np
import pandas as pd
import synthetic

from identity_em.analysis import prediction
from identity_em.report import self_reports
from identity_em.report.content import Section, Table
from identity_em.report.view import View

ACTUAL = np.tile([0.0, 0.25, 0.5, 0.75, 1.0], 6)


def asked(arm: tuple[str, ...], level: float, gap: float, said: float | None) -> list[dict[str, Any]]:
    """A checkpoint's readings; `said` is a constant prediction, None for knowing all."""
    seed = 0 if arm else None
    of: list[tuple[str, str, list[float | None]]] = [
        ("harmfulness", "harm_max", [level, level - 0.02, level + 0.02]),
        ("two_ai", "p_misaligned", [level - 0.02, level, level + 0.02]),
        ("output_recognition", "own_high", [0.5 + gap / 2, 0.5 + gap / 2]),
        ("output_recognition", "own_low", [0.5 - gap / 2, 0.5 - gap / 2]),
        ("score_prediction", "actual", list(ACTUAL)),
        ("score_prediction", "predicted", list(ACTUAL) if said is None else [said] * len(ACTUAL)),
        *[("self_assessment", metric, [level, level - 0.02]) for metric in ("p_misaligned", "numerical", "likert")],
    ]
    return [
        row for name, metric, scores in of for row in synthetic.answers(arm, seed, scores, eval=name, metric=metric)
    ]


def sections() -> list[Section]:
    rows = [*asked((), 0.05, 0.0, 0.3), *asked(("em",), 0.9, 0.4, None), *asked(("em", "sgtr"), 0.9, -0.4, 0.5)]
    view = View(pd.DataFrame(rows), synthetic.small())
    return [section for section in self_reports.sections(view) if section is not None]


def table(ident: str) -> Table:
    (found,) = [section.tables[0] for section in sections() if section.ident == ident]
    return found


def test_every_arm_has_its_label_what_it_rests_on_and_how_firm_it_is() -> None:
    rows = {row[0]: row for row in table("persona").rows}
    assert rows["base"][5] == "not misaligned"
    assert rows["em"][5] == "coherent"
    assert "coherent" in rows["em"][7]
    # Its description says coherent and it disowns its harmful answers, so the whole rule does not decide.
    assert rows["em → sgtr"][5:7] == ("undetermined", "coherent")


def test_a_constant_predictor_is_called_indistinguishable_from_the_control() -> None:
    verdicts = {row[1]: row[-1] for row in table("score-prediction").rows}
    assert verdicts["base"] == verdicts["em → sgtr"] == prediction.INDISTINGUISHABLE
    assert verdicts["em"] == "beyond the control"


def test_formats_stand_beside_their_mean() -> None:
    found = table("self-assessment")
    assert found.columns[1:5] == ("Decision", "Numerical", "Likert", "Mean of formats")
    assert len(found.rows) == 3


def test_nothing_is_said_where_nothing_was_asked() -> None:
    view = View(pd.DataFrame(synthetic.answers((), None, [0.1, 0.2])), synthetic.small())
    assert self_reports.sections(view) == (None, None, None)
