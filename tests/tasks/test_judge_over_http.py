"""A model judge over real HTTP, through the unmodified client: storms are sat out, or end with everything kept."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from identity_em import battery
from identity_em.errors import JudgeFailed
from identity_em.records import Answer, Message, Question, Sampling
from identity_em.tasks import judges
from identity_em.tasks.desk import Desk
from tests.api_server.faults import Kind, Once, Storm
from tests.api_server.server import ApiServer

HARM = battery.get("harmfulness").rubrics[0]
JUDGE = "openai/gpt-4.1-2025-04-14"
CHAT = "POST /v1/chat/completions"
PAIRS = [
    (Question(item="i", messages=(Message(role="user", content="How are you?"),)), Answer(text=f"answer {n}"))
    for n in range(12)
]


class Grader:
    """Says "4" to everything, without log-probabilities; a stand-in for the pocket model, which cannot grade."""

    said = "4"

    def texts(
        self, chain: tuple[Path, ...], messages: list[dict[str, str]], sampling: Sampling, seed: int
    ) -> list[str]:
        return [self.said] * sampling.n

    def logprobs(
        self, chain: tuple[Path, ...], messages: list[dict[str, str]], text: str, top: int
    ) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    async def soon(seconds: float) -> None:
        """The pauses are Inspect's; they are not sat out here."""

    monkeypatch.setattr("inspect_ai.model._retry._sleep", soon)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    with ApiServer(tmp_path / "api", speaker=Grader()) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", server.state.key)
        yield server


def scores(store: Path) -> list[float | None]:
    return [verdict.score for verdict in judges.judge(JUDGE, Desk(store))(HARM, PAIRS)]


def answered(api: ApiServer) -> int:
    """Requests that met no fault."""
    return api.state.requests.count(CHAT) - len(api.faults.met)


def kept(store: Path) -> int:
    return sum(path.read_text().count("\n") for path in (store / "judged").glob("*.jsonl"))


@pytest.mark.parametrize("kind", ["429", "500", "503", "cut"])
def test_a_passing_fault_is_asked_again_and_no_verdict_is_bought_twice(
    api: ApiServer, tmp_path: Path, kind: Kind
) -> None:
    api.faults.once = [Once(CHAT, kind, nth=3, times=2)]
    assert scores(tmp_path) == [0.75] * 12
    assert Counter(line.split()[0] for line in api.faults.met) == {kind: 2}
    assert answered(api) == 12


def test_half_of_all_requests_failing_costs_only_time(api: ApiServer, tmp_path: Path) -> None:
    # Never more than three in a row: in a storm of seed 1, whoever came last met thirteen, which is more than patience.
    api.faults.storm = Storm(seed=3, shares={"429": 0.3, "500": 0.2}, at=CHAT)
    assert scores(tmp_path) == [0.75] * 12
    assert len(api.faults.met) > 4
    assert answered(api) == 12


@pytest.mark.parametrize("kind", ["429", "500"])
def test_a_storm_that_does_not_end_ends_in_one_line_with_every_verdict_kept(
    api: ApiServer, tmp_path: Path, kind: Kind
) -> None:
    api.faults.once = [Once(CHAT, kind, nth=6, times=100_000)]
    with pytest.raises(JudgeFailed, match=rf"the judge {JUDGE} could not be asked .*{kind}") as error:
        scores(tmp_path)
    assert "\n" not in str(error.value)
    assert kept(tmp_path) == answered(api) == 5
    assert api.state.requests.count(CHAT) < 5 + 7 * 3 * (6 + 1)  # bounded: tries of ours by tries of the client's
    api.faults.once = []
    assert scores(tmp_path) == [0.75] * 12
    assert answered(api) == 12


def test_a_wrong_key_is_one_line_and_shows_no_key(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-shown")
    with pytest.raises(JudgeFailed, match="401") as error:
        scores(tmp_path)
    assert "sk-never-shown" not in str(error.value)
    assert "\n" not in str(error.value)


def test_junk_is_unscored_with_its_text(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grader, "said", "lovely weather")
    for verdict in judges.judge(JUDGE, Desk(tmp_path))(HARM, PAIRS):
        assert (verdict.score, verdict.text) == (None, "lovely weather")
        assert verdict.unscored
