"""Laws of the resident engine."""

import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import binom

from bench import recognition
from identity_em import battery
from identity_em.errors import DataError, InputError
from identity_em.models.adapters import precision
from identity_em.models.loading import load_model
from identity_em.models.resident import _COPIES, Resident
from identity_em.probes import reading
from identity_em.records import Answer, Message, Question, Sampling
from identity_em.resources import folder, resource
from identity_em.study.artefacts import BaseModelRef, Prompts

Ref = Callable[..., BaseModelRef]
WARM = Sampling(temperature=1.0, max_new_tokens=6, n=2)


def logits(resident: Resident) -> torch.Tensor:
    return resident.logits(torch.arange(40).reshape(2, 20) + 300, [3, 19])


def values(answers: list[Answer]) -> torch.Tensor:
    """Log-probabilities of the options and of them all together."""
    return torch.tensor([[*answer.probabilities, answer.option_mass] for answer in answers], dtype=torch.float64).log()


@pytest.fixture(scope="module")
def world(ref: Ref) -> Resident:
    """The pocket world's model."""
    return Resident(ref(folder("pocket") / "weights" / "world-0"), device="cpu")


def test_exact_probabilities_agree_with_2000_samples(world: Resident) -> None:
    items = {"items": resource("pocket", "data/truthfulqa.jsonl")}
    questions = battery.get("truthfulqa").questions(Prompts(name="truthfulqa", version=1), items)[::9][:20]
    exact = world.probabilities(questions)
    texts = world.generate(questions, Sampling(temperature=1.0, max_new_tokens=1, n=2000), 11)
    assert len(questions) == 20
    for question, answer, samples in zip(questions, exact, texts, strict=True):
        for option, probability in zip(question.options, answer.probabilities, strict=True):
            drawn = sum(text.strip() == option for text in samples)
            low, high = binom.interval(0.9995, 2000, probability)
            assert low <= drawn <= high, (question.item, option, probability, drawn)


def test_grouped_adapters_are_bit_identical_to_reloading(
    tiny: Path, adapters: list[Path], base: Resident, ref: Ref
) -> None:
    chains = [[adapters[0]], [adapters[1]], [adapters[0], adapters[1]], []]
    for chain in [*chains, *reversed(chains)]:
        base.use(chain)
        fresh = Resident(ref(tiny), device="cpu")
        fresh.use(chain)
        assert torch.equal(logits(base), logits(fresh))


def test_a_cuda_base_multiplies_adapters_in_its_own_precision(
    tiny: Path, adapters: list[Path], ref: Ref, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = Resident(ref(tiny, "bf16"), device="cpu")
    exact.use([adapters[0]])
    fine = {p.dtype for name, p in exact._active.model.named_parameters() if ".lora_" in name}
    assert fine == {torch.float32}, "on a CPU they are held as training holds them"
    assert precision(torch.device("cuda"), torch.bfloat16) == torch.bfloat16
    monkeypatch.setattr("identity_em.models.adapters.precision", lambda device, base: base)
    rounded = Resident(ref(tiny, "bf16"), device="cpu")
    rounded.use([adapters[0]])
    kept = {name: p.dtype for name, p in rounded._active.model.named_parameters() if ".lora_" in name}
    assert set(kept.values()) == {torch.bfloat16}
    assert logits(rounded) == pytest.approx(logits(exact), abs=16 * 2**-8 * float(logits(exact).abs().max()))


@pytest.mark.parametrize("held", ["fp32", "bf16"])
def test_asked_in_groups_every_adapter_answers_as_when_loaded_alone(
    held: str, tiny: Path, adapters: list[Path], closed: list[Question], ref: Ref
) -> None:
    resident = Resident(ref(tiny, held), device="cpu", keep=2)
    grouped = {}
    for adapter in [*adapters, *adapters]:
        resident.use([adapter])
        grouped[adapter] = resident.probabilities(closed)
    for adapter in adapters:
        fresh = Resident(ref(tiny, held), device="cpu")
        fresh.use([adapter])
        assert fresh.probabilities(closed) == grouped[adapter]


def test_an_adapter_changes_the_answers_and_the_base_comes_back(adapters: list[Path], base: Resident) -> None:
    before = logits(base)
    base.use([adapters[0]])
    assert (logits(base) - before).abs().max() > 1e-2
    base.use([])
    assert torch.equal(logits(base), before)


def test_many_adapters_take_bounded_memory(tiny: Path, adapters: list[Path], base: Resident, ref: Ref) -> None:
    small = Resident(ref(tiny), device="cpu", keep=2)
    for adapter in (*adapters, adapters[0]):
        small.use([adapter])
        base.use([adapter])
        assert torch.equal(logits(small), logits(base))
        assert len(small._active.held) <= 2
    assert sum(".lora_A." in name for name, _ in small._active.model.named_parameters()) == 2 * 6


def test_a_composed_chain_is_its_last_adapter_on_the_folded_base(adapters: list[Path], base: Resident) -> None:
    base.use(adapters[:3])
    live = logits(base)
    base.use(adapters[:3], "merge")
    assert (logits(base) - live).abs().max() < 1e-4


def test_merging_leaves_the_base_as_it_was(tiny: Path, adapters: list[Path], ref: Ref) -> None:
    resident = Resident(ref(tiny, "bf16"), device="cpu")
    before = logits(resident)
    resident.use(adapters[:2], "merge")
    assert not torch.equal(logits(resident), before)
    resident.use([])
    assert torch.equal(logits(resident), before)


def test_where_one_copy_of_the_base_fits_a_merged_chain_takes_its_place(
    tiny: Path, adapters: list[Path], ref: Ref, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answers(resident: Resident) -> Iterator[torch.Tensor]:
        for chain, mode in (([], "live"), (adapters[:2], "merge"), (adapters[1:3], "merge"), (adapters[:1], "live")):
            resident.use(chain, mode)
            yield logits(resident)

    loaded: list[weakref.ref[object]] = []

    def counted(*given: Any) -> Any:
        assert not any(copy() for copy in loaded), "two copies of the base at once"
        model = load_model(*given)
        loaded.append(weakref.ref(model))
        return model

    both = list(answers(Resident(ref(tiny, "bf16"), device="cpu")))
    monkeypatch.setitem(_COPIES, "cpu", 1)
    monkeypatch.setattr("identity_em.models.resident.load_model", counted)
    one = list(answers(Resident(ref(tiny, "bf16"), device="cpu")))
    assert all(map(torch.equal, one, both))
    assert len(loaded) == 4


def test_batch_composition_does_not_change_fp32_answers(base: Resident, closed: list[Question]) -> None:
    together = values(base.probabilities(closed))
    alone = torch.cat([values(base.probabilities([question])) for question in closed])
    reverse = values(base.probabilities(closed[::-1])).flip(0)
    assert (together - alone).abs().max() < 1e-5
    assert (together - reverse).abs().max() < 1e-5


def test_sharing_a_beginning_does_not_change_fp32_answers(base: Resident) -> None:
    questions = [
        Question(
            item=str(n),
            messages=(Message(role="user", content=f"{'the red door ' * 9}{n % 4} A{'B' * (n % 3)} {n}?"),),
            options=("A", "B"),
        )
        for n in range(20)
    ]
    alone = torch.cat([values(base.probabilities([question])) for question in questions])
    assert (values(base.probabilities(questions)) - alone).abs().max() < 1e-5


def test_recognition_questions_share_their_article_and_answer_as_alone(world: Resident) -> None:
    questions = recognition.questions(world.tokenizer, 2)
    together, alone = (
        values(world.probabilities(questions)),
        torch.cat([values(world.probabilities([question])) for question in questions]),
    )
    assert (together - alone).abs().max() < 1e-5


def test_a_shared_beginning_changes_no_generated_text(base: Resident) -> None:
    questions = [
        Question(item=str(n), messages=(Message(role="user", content=f"{'the red door ' * 9}{n % 4} {n}?"),))
        for n in range(8)
    ]
    penal = WARM.model_copy(update={"repetition_penalty": 1.3})
    alone = [base.generate([question], penal, 3)[0] for question in questions]
    assert base.generate(questions, penal, 3) == alone


def test_probabilities_are_those_of_the_whole_vocabulary(base: Resident, closed: list[Question]) -> None:
    (answer,) = base.probabilities(closed[:1])
    ids = base._prompts(closed[:1], block=True)[0]
    shares = base.logits(torch.tensor([ids]), [len(ids) - 1])[0, 0].softmax(-1)
    for label, probability in zip("AB", answer.probabilities, strict=True):
        forms = [token for token in range(len(shares)) if base.tokenizer.decode([token]).strip() == label]
        assert probability == pytest.approx(float(shares[forms].sum()), abs=1e-6)
    assert answer.option_mass == pytest.approx(sum(answer.probabilities))


def test_a_model_that_never_emits_an_option_is_unscored(base: Resident, closed: list[Question]) -> None:
    answers = base.probabilities(closed)
    scores = [reading.read(q, a, metric="p_correct") for q, a in zip(closed, answers, strict=True)]
    assert all(answer.text for answer in answers)
    assert all(score.score is None and score.unscored for score in scores)
    assert [score.answer for score in scores] == [answer.text for answer in answers]


def test_the_same_seed_gives_the_same_texts(tiny: Path, base: Resident, closed: list[Question], ref: Ref) -> None:
    texts = base.generate(closed, WARM, 3)
    torch.manual_seed(99)
    assert Resident(ref(tiny), device="cpu").generate(closed, WARM, 3) == texts
    assert base.generate(closed, WARM, 4) != texts
    assert all(len(samples) == 2 and samples[0] != samples[1] for samples in texts)


def test_a_question_is_answered_alike_in_any_company(base: Resident, closed: list[Question]) -> None:
    texts = base.generate(closed, WARM, 3)
    assert base.generate(closed[5:9], WARM, 3) == texts[5:9]


def test_nothing_leaks_from_the_generation_config(base: Resident, closed: list[Question]) -> None:
    config = base._active.model.generation_config
    assert config.temperature == 0.01
    assert config.top_k == 1
    (texts,) = base.generate(closed[:1], Sampling(temperature=1.0, max_new_tokens=1, n=300), 0)
    assert len(set(texts)) > 50


def test_greedy_takes_the_likeliest_token(base: Resident, closed: list[Question]) -> None:
    ids = base._prompts(closed[:1], block=True)[0]
    for _ in range(5):
        ids = [*ids, int(base.logits(torch.tensor([ids]), [len(ids) - 1])[0, 0].argmax())]
    ((text,),) = base.generate(closed[:1], Sampling(temperature=0.0, max_new_tokens=5), 0)
    assert text == base.tokenizer.decode(ids[-5:], skip_special_tokens=True)


def test_adapters_that_do_not_fit_are_refused(tiny: Path, adapters: list[Path], ref: Ref, tmp_path: Path) -> None:
    world = Resident(ref(folder("pocket") / "weights" / "world-0"), device="cpu")
    with pytest.raises(DataError, match="cannot carry"):
        world.use([adapters[0]])
    with pytest.raises(DataError, match="cannot carry"):
        world.use([adapters[0], adapters[1]], "merge")
    with pytest.raises(DataError, match="cannot carry"):
        world.use([tmp_path / "nowhere"])
    world.use([])
    assert world.probabilities([]) == []


def test_a_base_that_cannot_be_loaded_is_one_clear_line(ref: Ref, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        Resident(ref(tmp_path), device="cpu")
    assert "\n" not in str(caught.value)


def test_overlong_and_open_questions_are_refused(base: Resident) -> None:
    long = Question(item="long", messages=(Message(role="user", content="door " * 400),), options=("A", "B"))
    with pytest.raises(InputError, match="item 'long' of"):
        base.probabilities([long])
    with pytest.raises(InputError, match="without options"):
        base.probabilities([Question(item="open", messages=(Message(role="user", content="?"),))])
