"""Laws of the pieces under the resident engine: batches, option tokens, sampling, answers on disk."""

from math import prod
from pathlib import Path

import pytest
import torch

from identity_em.chat import prompt_ids
from identity_em.errors import DamagedArtefact
from identity_em.models import answers, generation
from identity_em.models.batches import Room, SharedBatch, shared_batches
from identity_em.models.options import OptionTokens, option_probabilities
from identity_em.models.resident import Resident
from identity_em.records import Answer, Message, Question, Sampling

LOGITS = torch.log(torch.tensor([[0.1, 0.4, 0.2, 0.3]]))
UNSEEN = torch.zeros(1, 4, dtype=torch.bool)


def drawn(sampling: Sampling, *, count: int = 4000) -> dict[int, float]:
    uniform = torch.rand(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tokens = generation.choose(LOGITS.expand(count, -1), UNSEEN.expand(count, -1), sampling, uniform)
    return {token: float((tokens == token).double().mean()) for token in sorted(set(tokens.tolist()))}


def whole(batch: SharedBatch) -> dict[int, list[int]]:
    """The prompts of a batch put together again, by place; their positions count from 0."""
    found = {}
    for place, row in enumerate(batch.rests.rows):
        parts = [(batch.starts, int(batch.start_of[place])), (batch.rests, place)]
        found[row] = [int(i) for part, at in parts for i in part.ids[at][part.mask[at] == 1]]
        positions = [int(i) for part, at in parts for i in part.positions[at][part.mask[at] == 1]]
        assert positions == list(range(len(found[row])))
    return found


def test_batches_hold_every_prompt_once_within_the_room() -> None:
    prompts = [[number] * (1 + number * 7 % 23) for number in range(40)]
    made = list(shared_batches(prompts, room=Room(read=40, held=60), extra=2))
    assert {row: ids for batch in made for row, ids in whole(batch).items()} == dict(enumerate(prompts))
    assert sum(len(batch.rests.rows) for batch in made) == 40
    assert all(batch.starts.ids.numel() == 0 and batch.rests.ids.numel() <= 40 for batch in made)
    assert all(batch.rests.ids.numel() + 2 * len(batch.rests.rows) <= 60 for batch in made)


def test_padding_is_on_the_left_and_positions_count_from_the_first_token() -> None:
    (batch,) = shared_batches([[5, 6, 7], [8]], room=Room(read=99, held=99))
    assert batch.rests.rows == (1, 0)
    assert batch.rests.ids.tolist() == [[0, 0, 8], [5, 6, 7]]
    assert batch.rests.mask.tolist() == [[0, 0, 1], [1, 1, 1]]
    assert batch.rests.positions.tolist() == [[0, 0, 0], [0, 1, 2]]


def test_a_prompt_beyond_the_room_is_a_batch_of_its_own() -> None:
    made = shared_batches([[1] * 9, [2]], room=Room(read=4, held=4))
    assert [batch.rests.rows for batch in made] == [(1,), (0,)]


def test_a_shared_beginning_is_held_once_and_nothing_is_lost() -> None:
    article = [list(range(100 * n, 100 * n + 20)) for n in range(5)]
    prompts = [article[n % 5] + [900 + n, 7] * (1 + n % 3) for n in range(30)]
    made = list(shared_batches(prompts, room=Room(read=60, held=300)))
    for batch in made:
        assert max(batch.starts.ids.numel(), batch.rests.ids.numel()) <= 60
        assert len(batch.rests.rows) * (batch.starts.ids.shape[1] + batch.rests.ids.shape[1]) <= 300
    assert {row: ids for batch in made for row, ids in whole(batch).items()} == dict(enumerate(prompts))
    assert sum(int(batch.starts.mask.sum()) for batch in made) == 5 * 20


def test_a_group_beyond_the_room_is_cut_into_equal_parts() -> None:
    prompts = [[*range(20), number] for number in range(30, 42)]
    made = list(shared_batches(prompts, room=Room(read=99, held=21 * 5)))
    assert [len(batch.rests.rows) for batch in made] == [4, 4, 4]


def test_the_probability_of_an_option_is_the_sum_over_its_forms() -> None:
    logits = torch.randn(3, 9, generator=torch.Generator().manual_seed(0)) * 5
    shares = logits.double().softmax(-1)
    found = option_probabilities(logits, [((1, 2), (3,)), (), ((4,), (5, 6, 7), (8,))])
    wanted = [[shares[0, 1:3].sum(), shares[0, 3], 0], [0, 0, 0], [shares[2, 4], shares[2, 5:8].sum(), shares[2, 8]]]
    assert found.dtype == torch.float64
    assert found.flatten().tolist() == pytest.approx([float(v) for row in wanted for v in row], rel=1e-5)


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


def asked(*options: str) -> Question:
    return Question(item="i", messages=(Message(role="user", content="?"),), options=options)


def next_token(model: Resident, ids: list[int]) -> torch.Tensor:
    return torch.softmax(model.logits(torch.tensor([ids]), [len(ids) - 1])[0, 0].double(), -1)


@pytest.mark.parametrize("words", [("qqqa", "qqqb"), ("b", "qqa", "qqbb", "qqba"), ("harmlessx", "harmlessy")])
def test_words_that_begin_alike_are_told_apart_by_what_follows_exactly(base: Resident, words: tuple[str, ...]) -> None:
    spelt = [OptionTokens(base.tokenizer).spelling(word) for word in words]
    assert len({ids[0] for ids in spelt}) < len(words)
    (answer,) = base.probabilities([asked(*words)])
    prompt = prompt_ids(base.tokenizer, asked(*words).messages)
    for ids, found in zip(spelt, answer.probabilities, strict=True):
        others = [other for other in spelt if other is not ids]
        end = next(n for n in range(1, len(ids) + 1) if all(other[:n] != ids[:n] for other in others))
        wanted = prod(float(next_token(base, [*prompt, *ids[:n]])[ids[n]]) for n in range(end))
        # A word that is a token of its own also counts with white space before it.
        whole = sum(
            float(next_token(base, prompt)[t]) for t in OptionTokens(base.tokenizer).whole(words[spelt.index(ids)])
        )
        assert found == pytest.approx(whole if end == len(ids) == 1 else wanted + whole, rel=1e-3)
    assert answer.option_mass == pytest.approx(sum(answer.probabilities))


def test_many_questions_of_several_kinds_are_each_answered_as_alone(base: Resident) -> None:
    kinds = [asked("qqqa", "qqqb"), asked("A", "B"), asked("1", "2", "5", "52"), asked("qqa", "qqbb", "b")]
    together = base.probabilities(kinds * 2)
    for question, answer in zip(kinds * 2, together, strict=True):
        (alone,) = base.probabilities([question])
        assert answer.probabilities == pytest.approx(alone.probabilities, rel=1e-4)


def test_an_option_that_another_begins_with_cannot_be_told_apart_and_has_no_probability(base: Resident) -> None:
    options = OptionTokens(base.tokenizer)
    assert options.forms(("qqq", "qqqb")) is None
    assert options.forms(("xqq", "zqq")) is not None
    (answer,) = base.probabilities([asked("qqq", "qqqb")])
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
