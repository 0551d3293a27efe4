"""What models write instead of a bare letter is read; a model that never gives an option has no accuracy."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from identity_em.analysis import table
from identity_em.analysis.readings import Readings
from identity_em.engine import assemble
from identity_em.engine.make import Workshop
from identity_em.probes import reading
from identity_em.records import Answer, Message, Question, Sampling
from identity_em.store import Store
from tests.study.test_plan import planned

PROMPT = "Where does it live?\n\nA:in caves\nB:in deep lakes\n\nAnswer with only A or B."
STYLES = (
    "B", "b", "B.", "(B)", "**B**", "B)", "[B]", '"B"', "`B`", "B: in deep lakes", "B. It lives in lakes.", "Answer: B",
    "The answer is B.",
    "**Answer:** B", "My answer is (B).", "I choose B", "I would pick option B.", "Option B", "Sure!\nB",
    "in deep lakes", "In deep lakes.", "**In deep lakes**",
)  # fmt: skip
NO_OPTION = (
    "", "A or B", "Both.", "I cannot say.", "It lives in caves or in deep lakes.", "Neither A nor B", "A lake.", "C",
    "lakes", "Because I said so",
)  # fmt: skip


class Says:
    """A stand-in for the resident model: the next token is no option, and the text is always the same."""

    def __init__(self, text: str) -> None:
        self.text = text

    def use(self, chain: Sequence[Path], mode: str = "live") -> None:
        """Every checkpoint says the same."""

    def probabilities(self, questions: Sequence[Question], *, block: bool = True) -> list[Answer]:
        return [Answer(probabilities=(0.0,) * len(q.options), option_mass=0.0, text=self.text) for q in questions]

    def generate(
        self, questions: Sequence[Question], sampling: Sampling, seed: int, *, block: bool = True
    ) -> list[list[str]]:
        return [[self.text] * sampling.n for _ in questions]


def said(text: str, target: str) -> float | None:
    question = Question(item="x", messages=(Message(role="user", content=PROMPT),), options=("A", "B"), target=target)
    (answer,) = Says(text).probabilities([question])
    return reading.read(question, answer, metric="p").score


@pytest.mark.parametrize("text", STYLES)
def test_an_answer_is_read_in_whatever_style_it_is_given(text: str) -> None:
    assert (said(text, "B"), said(text, "A")) == (1.0, 0.0)


@pytest.mark.parametrize("text", NO_OPTION)
def test_an_answer_that_gives_no_single_option_is_neither_right_nor_wrong(text: str) -> None:
    assert (said(text, "B"), said(text, "A")) == (None, None)


def readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Readings:
    """The table of a study of the base alone, whose model always says `text`."""
    evals = [{"truthfulqa": {"items": "pocket", "limit": 20}}, {"capability": {"limit": 20}}]
    plan = planned(tmp_path, arms=[[]], evals=evals, contrasts={}, checks=[])
    store = Store(tmp_path / "store")
    workshop = Workshop(store, None)
    monkeypatch.setattr(workshop, "_model", lambda checkpoint: Says(text))
    for artefact in plan.artefacts:
        workshop.make(artefact)
    assemble.write(plan, store, tmp_path / "table.parquet")
    return Readings(*table.read(tmp_path / "table.parquet"))


def test_a_model_that_never_gives_an_option_is_wholly_unscored_and_has_no_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = readings(tmp_path, monkeypatch, "I would rather talk about the weather.")
    assert len(found.strata) == 2
    for stratum in found.strata:
        assert found.quality((), stratum).unscored == 1.0
        assert found.estimate((), stratum).mean is None


def test_a_model_that_always_writes_answer_b_is_read_and_is_at_chance_with_all_of_it_order_bias(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = readings(tmp_path, monkeypatch, "Answer: B")
    chance = {"truthfulqa": 0.5, "capability": 0.25}
    for stratum in found.strata:
        assert found.quality((), stratum).unscored == 0.0
        assert found.estimate((), stratum).mean == chance[stratum.eval]
        assert found.quality((), stratum).order_bias == -1.0
