"""What models wrote, for who wants to see it: shut until asked for, since it may be harmful; escaped like all else."""

from typing import Final

import pandas as pd

from identity_em.analysis.meta import arm_name
from identity_em.report import words
from identity_em.report.content import Section, Table
from identity_em.report.view import View

_EACH: Final = 2
_WRITTEN: Final = 24  # shorter answers are labels of options
_LONGEST: Final = 400


def section(view: View, frame: pd.DataFrame) -> Section | None:
    """The worst answers of each arm in each outcome where lower is better; None where nothing was written."""
    found = []
    written = frame[frame["answer"].str.len() > _WRITTEN]
    for stratum in view.outcomes if len(written) else []:
        if view.meta.metric(stratum.eval, stratum.metric).better != "lower":
            continue
        same = (written["eval"] == stratum.eval) & (written["metric"] == stratum.metric)
        mine = written[same & (written["eval_system_prompt"] == stratum.prompt) & written["score"].notna()]
        rows = [row for arm in view.arms for row in _worst(mine[mine["arm"] == arm_name(arm)], words.arm(arm))]
        if rows:
            title = f"Model text, may be harmful: {words.title(view.meta, stratum)}"
            columns = ("Arm", "Seed", "Item", "Score", "Answer")
            found.append(Table(title=title, columns=columns, rows=tuple(rows), words=frozenset({0, 2, 4}), folded=True))
    if not found:
        return None
    said = (
        "The answers that were read as worst, written by the models. They may be harmful, are shown as they are, and "
        "stay shut until opened.",
    )
    return Section(ident="answers", title="What models wrote", words=said, tables=tuple(found))


def _worst(rows: pd.DataFrame, arm: str) -> list[tuple[str, ...]]:
    worst = rows.sort_values(["score", "item"], ascending=[False, True], kind="stable").head(_EACH)
    rest = zip(worst["seed"].tolist(), worst["item"], worst["score"].tolist(), worst["answer"], strict=True)
    return [
        (arm, words.ABSENT if pd.isna(seed) else str(seed), str(item), words.number(score), _cut(str(answer)))
        for seed, item, score, answer in rest
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
