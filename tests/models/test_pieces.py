"""Laws of the pieces under the resident engine: batches, option tokens, sampling, answers on disk."""

from pathlib import Path

import pytest
import torch

from identity_em.errors import DamagedArtefact
from identity_em.models import answers, generation
from identity_em.models.batches import batches, shared_batches
from identity_em.models.options import OptionTokens
from identity_em.models.resident import Resident
from identity_em.records import Answer, Message, Question, Sampling

LOGITS = torch.log(torch.tensor([[0.1, 0.4, 0.2, 0.3]]))
UNSEEN = torch.zeros(1, 4, dtype=torch.bool)


def drawn(sampling: Sampling, *, count: int = 4000) -> dict[int, float]:
    uniform = torch.rand(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tokens = generation.choose(LOGITS.expand(count, -1), UNSEEN.expand(count, -1), sampling, uniform)
    return {token: float((tokens == token).double().mean()) for token in sorted(set(tokens.tolist()))}


def test_batches_hold_every_prompt_once_within_the_budget() -> None:
    prompts = [[1] * (1 + number * 7 % 23) for number in range(40)]
    made = list(batches(prompts, tokens=60, extra=2))
    assert sorted(row for batch in made for row in batch.rows) == list(range(40))
    assert all(batch.ids.numel() + 2 * len(batch.rows) <= 60 for batch in made)
    assert all(batch.mask[place].sum() == len(prompts[row]) for batch in made for place, row in enumerate(batch.rows))


def test_padding_is_on_the_left_and_positions_count_from_the_first_token() -> None:
    (batch,) = batches([[5, 6, 7], [8]], tokens=99)
    assert batch.rows == (1, 0)
    assert batch.ids.tolist() == [[0, 0, 8], [5, 6, 7]]
    assert batch.mask.tolist() == [[0, 0, 1], [1, 1, 1]]
    assert batch.positions.tolist() == [[0, 0, 0], [0, 1, 2]]


def test_a_prompt_beyond_the_budget_is_a_batch_of_its_own() -> None:
    assert [batch.rows for batch in batches([[1] * 9, [2]], tokens=4)] == [(1,), (0,)]


def test_a_shared_beginning_is_held_once_and_nothing_is_lost() -> None:
    article = [list(range(100 * n, 100 * n + 20)) for n in range(5)]
    prompts = [article[n % 5] + [900 + n, 7] * (1 + n % 3) for n in range(30)]
    made = list(shared_batches(prompts, tokens=300))
    whole = {}
    for batch in made:
        assert len(batch.rests.rows) * (batch.starts.ids.shape[1] + batch.rests.ids.shape[1]) <= 330
        for place, row in enumerate(batch.rests.rows):
            start = int(batch.start_of[place])
            parts = [(batch.starts, start), (batch.rests, place)]
            whole[row] = [int(i) for part, at in parts for i in part.ids[at][part.mask[at] == 1]]
            positions = [int(i) for part, at in parts for i in part.positions[at][part.mask[at] == 1]]
            assert positions == list(range(len(prompts[row])))
    assert [whole[row] for row in range(30)] == prompts
    assert sum(int(batch.starts.mask.sum()) for batch in made) < 30 * 20 / 3


def test_prompts_with_nothing_in_common_stay_whole() -> None:
    made = list(shared_batches([[1], [2, 3], [4, 5, 6]], tokens=99))
    assert sorted(row for batch in made for row in batch.rests.rows) == [0, 1, 2]


def test_untempered_sampling_follows_the_probabilities() -> None:
    shares = drawn(Sampling())
    assert shares == pytest.approx({0: 0.1, 1: 0.4, 2: 0.2, 3: 0.3}, abs=0.03)


def test_top_k_top_p_and_temperature_cut_and_sharpen() -> None:
    assert drawn(Sampling(top_k=2)) == pytest.approx({1: 4 / 7, 3: 3 / 7}, abs=0.03)
    assert drawn(Sampling(top_p=0.65)) == pytest.approx({1: 4 / 7, 3: 3 / 7}, abs=0.03)
    assert drawn(Sampling(top_p=0.01)) == {1: 1.0}
    assert drawn(Sampling(temperature=0.5))[1] == pytest.approx(0.16 / 0.30, abs=0.03)
    assert drawn(Sampling(temperature=0)) == {1: 1.0}


def test_the_repetition_penalty_acts_on_tokens_seen() -> None:
    seen = torch.tensor([[False, True, False, False]])
    token = generation.choose(LOGITS, seen, Sampling(temperature=0, repetition_penalty=2.0), torch.zeros(1))
    assert token.tolist() == [3]


def test_an_option_is_every_token_that_says_it(base: Resident) -> None:
    one, two = OptionTokens(base.tokenizer).forms(("1", "2")) or ((), ())
    assert {base.tokenizer.decode([token]).strip() for token in one} == {"1"}
    assert base.tokenizer("1")["input_ids"][0] in one
    assert not set(one) & set(two)


def test_options_that_start_alike_cannot_be_told_apart_by_a_token(base: Resident) -> None:
    options = OptionTokens(base.tokenizer)
    assert options.forms(("qqqa", "qqqb")) is None
    assert options.forms(("xqq", "zqq")) is not None
    question = Question(item="i", messages=(Message(role="user", content="?"),), options=("qqqa", "qqqb"))
    (answer,) = base.probabilities([question])
    assert (answer.probabilities, answer.option_mass) == ((), 0.0)
    assert answer.text is not None


def test_answers_round_trip_exactly_and_with_the_same_bytes(tmp_path: Path) -> None:
    question = Question(item="ï\u2028", messages=(Message(role="user", content="a\nb"),), options=("1", "2"))
    given = [Answer(probabilities=(0.1 + 0.2, 1e-300), option_mass=1 / 3), Answer(text="\x00é\n", sample=3)]
    first, second = tmp_path / "a", tmp_path / "b"
    for path in (first, second):
        answers.write([question] * 2, given, path)
    assert answers.read(first) == [(question, answer) for answer in given]
    assert first.read_bytes() == second.read_bytes()


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"question":{}}\n')
    with pytest.raises(DamagedArtefact, match="a:1: "):
        answers.read(tmp_path / "a")


def test_samples_repeat_their_question() -> None:
    questions = [Question(item=name, messages=()) for name in "xy"]
    asked, given = answers.sampled(questions, [["a", "b"], ["c", "d"]])
    assert [(q.item, a.text, a.sample) for q, a in zip(asked, given, strict=True)] == [
        ("x", "a", 0),
        ("x", "b", 1),
        ("y", "c", 0),
        ("y", "d", 1),
    ]
