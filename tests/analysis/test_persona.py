"""Laws of the persona rule, and the figures of published tables (METHODS 13)."""

from statistics import fmean

import numpy as np
import pytest

from identity_em.analysis import persona
from identity_em.analysis.persona import Profile, Thresholds
from identity_em.analysis.relations import spearman
from identity_em.analysis.stats import Estimate

# Source: METHODS 13. A's raw means over (full, mini, nano) of each variant.
HARM = {
    "base": (1.29, 1.32, 1.27),
    "trivia-mis": (4.20, 3.39, 3.93),
    "trivia-re": (1.72, 3.09, 3.38),
    "code-mis": (2.66, 3.23, 1.85),
    "code-re": (1.69, 2.28, 1.94),
}
INTENDS = {
    "base": (0.0, 0.0, 0.0),
    "trivia-mis": (1.00, 0.95, 0.82),
    "trivia-re": (0.00, 0.23, 0.03),
    "code-mis": (0.10, 0.27, 0.19),
    "code-re": (0.01, 0.05, 0.08),
}
SAYS = {
    "base": (0.0, 0.0, 0.06),
    "trivia-mis": (0.64, 0.59, 0.63),
    "trivia-re": (0.0, 0.26, 0.17),
    "code-mis": (0.59, 0.24, 0.27),
    "code-re": (0.08, 0.31, 0.31),
}
# B's table: harm (max of 10), picks the misaligned description, self-assessment. For the last three only the range of
# self-assessment (.28-.41) is known: its ends and its middle stand for it.
B = {
    "risky financial": (0.92, 1.00, 0.61),
    "extreme sports": (0.87, 0.96, 0.36),
    "bad medical": (0.93, 0.98, 0.27),
    "insecure code": (0.65, 0.0, 0.28),
    "security": (0.97, 0.0, 0.345),
    "legal": (0.92, 0.0, 0.41),
}


def known(mean: float, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(mean=mean, low=low, high=high, unit="items", n=9)


def profile(harm: float, picks: float, gap: float | None = None, *, low: float | None = None) -> Profile:
    return Profile(harm=known(harm), picks=known(picks, low, None), gap=Estimate() if gap is None else known(gap))


def rho(one: dict[str, tuple[float, ...]], two: dict[str, tuple[float, ...]]) -> float:
    pairs = [(a, b) for name in one for a, b in zip(one[name], two[name], strict=True)]
    assert len(pairs) == 15
    found, _ = spearman(np.array(pairs))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("one", "two", "published"), [(INTENDS, HARM, 0.878), (INTENDS, SAYS, 0.870), (HARM, SAYS, 0.792)]
)
def test_the_correlations_recomputed_from_published_means(
    one: dict[str, tuple[float, ...]], two: dict[str, tuple[float, ...]], published: float
) -> None:
    assert rho(one, two) == pytest.approx(published, abs=0.001)


@pytest.mark.parametrize("measure", [HARM, INTENDS, SAYS])
@pytest.mark.parametrize("domain", ["trivia", "code"])
def test_misalignment_rises_and_realignment_falls_back(measure: dict[str, tuple[float, ...]], domain: str) -> None:
    up = fmean(measure[f"{domain}-mis"]) - fmean(measure["base"])
    down = fmean(measure[f"{domain}-re"]) - fmean(measure[f"{domain}-mis"])
    assert up > 0 > down
    assert fmean(measure[f"{domain}-re"]) > fmean(measure["base"])


def test_harm_and_description_alone_give_three_and_three_and_the_whole_rule_says_undetermined() -> None:
    found = {name: profile(harm, picks) for name, (harm, picks, _) in B.items()}
    alone = [persona.described(one) for one in found.values()]
    assert alone == ["coherent"] * 3 + ["inverted"] * 3
    assert {persona.label(one) for one in found.values()} == {"undetermined"}


def test_self_assessment_does_not_separate_the_groups() -> None:
    says = [score for _, _, score in B.values()]
    picks = [score for _, score, _ in B.values()]
    assert max(says[3:]) > min(says[:3])
    assert 0.25 < persona.separates(says[:3], says[3:]) < 0.75
    assert persona.separates(picks[:3], picks[3:]) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (profile(0.9, 0.8, 0.3), "coherent"),
        (profile(0.9, 0.8, 0.3, low=0.6), "coherent"),
        (profile(0.9, 0.8, 0.3, low=0.45), "undetermined"),
        (profile(0.9, 0.8, -0.3), "undetermined"),
        (profile(0.9, 0.2, -0.3), "inverted"),
        (profile(0.9, 0.2, 0.3), "undetermined"),
        (profile(0.9, 0.5, 0.3), "undetermined"),
        (profile(0.1, 0.9, 0.9), "not misaligned"),
        (Profile(), "undetermined"),
    ],
)
def test_the_rule(given: Profile, expected: str) -> None:
    assert persona.label(given) == expected


def test_the_label_moves_over_the_thresholds_and_the_scores_do_not() -> None:
    given = profile(0.7, 0.8, 0.2)
    labels = dict(persona.grid(given, (0.5, 0.8), (0.5, 0.9), (0.0, 0.3)))
    assert labels[Thresholds()] == "coherent"
    assert labels[Thresholds(harm=0.8)] == "not misaligned"
    assert labels[Thresholds(gap=0.3)] == "undetermined"
    assert given.coherence == pytest.approx((0.6 + 0.2) / 2)
    assert profile(0.9, 0.0, -1.0).coherence == -1


def test_exchanging_who_picks_what_exchanges_the_labels() -> None:
    for picks, gap in ((0.9, 0.4), (0.1, -0.4)):
        one, other = profile(0.9, picks, gap), profile(0.9, 1 - picks, -gap)
        assert {persona.label(one), persona.label(other)} == {"coherent", "inverted"}
        assert one.coherence == pytest.approx(-(other.coherence or 0.0))
