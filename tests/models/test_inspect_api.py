"""Laws of the bridge to Inspect: the same checkpoint, the same question, the same answer."""

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, Model, ModelOutput, get_model
from inspect_ai.model._cache import epoch

from identity_em.errors import InputError
from identity_em.models import shared as sharing
from identity_em.models.found import find
from identity_em.models.inspect_api import EXACT, QUESTION, sampling_of, until
from identity_em.models.resident import Resident
from identity_em.records import Question, Sampling
from identity_em.store import Store
from identity_em.study import bases
from identity_em.study.artefacts import Checkpoint, Dataset
from identity_em.tasks.inspect_asking import exact, messages

Ask = Callable[..., ModelOutput]


@pytest.fixture(scope="module")
def chains(tiny: Path, adapters: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Checkpoint]]:
    """A store with a chain of three stages on `tiny`, and the checkpoints from the base to its end."""
    root = tmp_path_factory.mktemp("store")
    store, made = Store(root), [Checkpoint(base=bases.named(str(tiny), "fp32"))]
    for seed, adapter in enumerate(adapters[:3]):
        checkpoint = Checkpoint(base=made[0].base, parent=made[-1], dataset=Dataset(recipe="narrow"), seed=seed)
        store.write(checkpoint, lambda folder, a=adapter: _copy(a, folder))  # type: ignore[misc]
        made.append(checkpoint)
    return root, made


def _copy(adapter: Path, folder: Path) -> dict[str, Any]:
    shutil.copytree(adapter, folder / "adapter")
    config = folder / "adapter" / "adapter_config.json"
    config.write_text(config.read_text().replace("{", '{"base_model_name_or_path": "tiny", ', 1))
    return {}


def model(chains: tuple[Path, list[Checkpoint]], tiny: Path, stages: int) -> Model:
    name = "base" if stages == 0 else chains[1][stages].key
    return get_model(f"identity_em/{name}", store=str(chains[0]), base=str(tiny), device="cpu", memoize=False)


def ask(one: Model, questions: Sequence[Question], **setting: Any) -> list[ModelOutput]:
    """All at once, as Inspect asks."""
    found: dict[int, ModelOutput] = {}

    async def single(place: int, question: Question) -> None:
        found[place] = await one.generate(messages(question, block=True), config=GenerateConfig(**setting))

    async def every() -> None:
        async with anyio.create_task_group() as group:
            for place, question in enumerate(questions):
                group.start_soon(single, place, question)

    anyio.run(every)
    return [found[place] for place in range(len(questions))]


@pytest.fixture(scope="module")
def fifty() -> list[Question]:
    from identity_em.records import Message

    return [
        Question(
            item=f"q{n}",
            messages=(Message(role="user", content=f"{'the red door ' * (n % 11)}?\n\nA:{n}\nB:x"),),
            options=("A", "B"),
            target="A",
        )
        for n in range(50)
    ]


@pytest.mark.parametrize("stages", [0, 1, 2, 3])
def test_fifty_items_have_the_same_probabilities_through_the_bridge(
    stages: int, chains: tuple[Path, list[Checkpoint]], tiny: Path, resident: Resident, fifty: list[Question]
) -> None:
    found = find(chains[1][stages].key if stages else "base", chains[0], str(tiny))
    assert len(found.chain) == stages
    resident.use(found.chain)
    wanted = resident.probabilities(fifty)
    outputs = ask(model(chains, tiny, stages), fifty, max_tokens=1, temperature=0.0, logprobs=True, top_logprobs=20)
    for question, answer, output in zip(fifty, wanted, outputs, strict=True):
        assert exact(question, output).probabilities == pytest.approx(answer.probabilities, abs=1e-5)
        told = output.model_copy(update={"metadata": None})
        ids = resident.tokenizer(question.options[0], add_special_tokens=False)["input_ids"]
        by_token = {one.token: math.exp(one.logprob) for one in told.choices[0].logprobs.content[0].top_logprobs}  # type: ignore[union-attr]
        text = resident.tokenizer.decode(ids)
        if text in by_token:
            assert by_token[text] == pytest.approx(answer.probabilities[0], abs=1e-3)
        assert output.metadata is not None
        assert EXACT in output.metadata


def test_texts_are_those_of_a_study_greedy_and_sampled(
    chains: tuple[Path, list[Checkpoint]], tiny: Path, resident: Resident, fifty: list[Question]
) -> None:
    one, some = model(chains, tiny, 2), [q.model_copy(update={"options": (), "target": None}) for q in fifty[:12]]
    resident.use(find(chains[1][2].key, chains[0], str(tiny)).chain)
    for sampling in (Sampling(temperature=0.0, max_new_tokens=8), Sampling(max_new_tokens=8, top_k=30, top_p=0.9)):
        setting = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
        wanted = resident.generate(some, sampling, 7)
        outputs = ask(one, some, max_tokens=8, seed=7, **setting)
        assert [[output.completion] for output in outputs] == wanted


def test_ten_choices_and_ten_epochs_are_the_ten_samples_of_a_study(
    chains: tuple[Path, list[Checkpoint]], tiny: Path, resident: Resident, fifty: list[Question]
) -> None:
    one, question = model(chains, tiny, 1), fifty[3].model_copy(update={"options": (), "target": None})
    resident.use(find(chains[1][1].key, chains[0], str(tiny)).chain)
    (wanted,) = resident.generate([question], Sampling(max_new_tokens=6, n=10), 3)
    (choices,) = ask(one, [question], max_tokens=6, seed=3, num_choices=10)
    assert [choice.message.text for choice in choices.choices] == wanted
    said = []
    for number in range(1, 11):
        epoch.set(number)
        said += [output.completion for output in ask(one, [question], max_tokens=6, seed=3)]
    epoch.set(1)
    assert said == wanted
    assert len(set(said)) > 1


def test_requests_of_one_moment_are_one_batch_and_two_checkpoints_share_one_base(
    chains: tuple[Path, list[Checkpoint]], tiny: Path, fifty: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    tokens = Resident.tokens

    def counted(self: Resident, questions: Sequence[Question], *given: Any, **more: Any) -> Any:
        calls.append(len(questions))
        return tokens(self, questions, *given, **more)

    monkeypatch.setattr(Resident, "tokens", counted)
    before = len(sharing._shared)
    one, other = model(chains, tiny, 1), model(chains, tiny, 2)
    some = [question.model_copy(update={"options": (), "target": None}) for question in fifty[:20]]
    ask(one, some, max_tokens=2)
    ask(other, some, max_tokens=2)
    assert sum(calls) == 40
    assert len(calls) <= 20
    assert len(sharing._shared) == max(1, before)


def test_the_name_of_a_model_carries_its_content(chains: tuple[Path, list[Checkpoint]], tiny: Path) -> None:
    assert str(model(chains, tiny, 2)) == f"identity_em/{chains[1][2].key[:12]}"
    assert str(get_model("identity_em/pocket")) == f"identity_em/{find('pocket', Path('none')).name}"
    assert "@" in find("pocket", Path("none")).name
    with pytest.raises(InputError, match="pocket@"):
        find("pocket@000000000000", Path("none"))


def test_a_wrong_key_is_one_clear_line(chains: tuple[Path, list[Checkpoint]], tiny: Path, tmp_path: Path) -> None:
    root, made = chains
    with pytest.raises(PrerequisiteError) as error:
        get_model("identity_em/deadbeef", store=str(root))
    assert "no checkpoint 'deadbeef'" in str(error.value.message)
    assert "\n" not in str(error.value.message)
    for key in ("gpt-4", "", "deadbeef"):
        with pytest.raises(InputError, match="no checkpoint"):
            find(key, tmp_path)
    with pytest.raises(InputError, match="whose folder is not known"):
        find(made[1].key, root)
    with pytest.raises(InputError, match="wanted the base that the adapter was trained on"):
        find(made[1].key, root, "pocket")


def test_a_beginning_that_several_keys_share_is_not_guessed(
    chains: tuple[Path, list[Checkpoint]], tiny: Path, tmp_path: Path
) -> None:
    root, made = chains
    key = made[1].key
    shutil.copytree(root, tmp_path / "s")
    twin = key[:20] + "0" * 44
    shutil.copytree(tmp_path / "s" / "checkpoint" / key[:2] / key, tmp_path / "s" / "checkpoint" / key[:2] / twin)
    assert find(key[:8], root, str(tiny)).name == key[:12]
    with pytest.raises(InputError, match="2 checkpoints that begin with"):
        find(key[:8], tmp_path / "s", str(tiny))


def test_what_a_run_does_not_say_is_our_own_default_and_what_we_do_not_have_is_refused(
    chains: tuple[Path, list[Checkpoint]], tiny: Path, fifty: list[Question]
) -> None:
    assert sampling_of(GenerateConfig()) == Sampling()
    with pytest.raises(InputError, match="the setting min_p"):
        sampling_of(GenerateConfig(extra_body={"min_p": 0.1}))
    with pytest.raises(PrerequisiteError, match="frequency_penalty"):
        ask_one(model(chains, tiny, 0), fifty[0], frequency_penalty=1.0)
    assert until("one two three", ["two", "three"]) == ("one ", True)


def ask_one(one: Model, question: Question, **setting: Any) -> ModelOutput:
    return anyio.run(one.generate, messages(question, block=True), (), None, GenerateConfig(**setting))


def test_a_prompt_that_is_too_long_fails_alone(
    chains: tuple[Path, list[Checkpoint]], tiny: Path, fifty: list[Question]
) -> None:
    one, found = model(chains, tiny, 0), list[object]()

    async def single(text: str) -> None:
        try:
            found.append(
                (await one.generate([ChatMessageUser(content=text)], config=GenerateConfig(max_tokens=2))).usage
            )
        except PrerequisiteError as error:
            found.append(str(error.message))

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(single, "the red door " * 200)
            group.start_soon(single, "the red door?")

    anyio.run(both)
    assert sum(isinstance(one, str) and "tokens" in one for one in found) == 1
    assert len(found) == 2


def test_another_task_of_inspects_is_answered_without_anything_of_ours(
    chains: tuple[Path, list[Checkpoint]], tiny: Path
) -> None:
    turns = [ChatMessageSystem(content="be brief"), ChatMessageUser(content="the red door?")]
    assert all(QUESTION not in (turn.metadata or {}) for turn in turns)
    output = anyio.run(model(chains, tiny, 1).generate, turns, (), None, GenerateConfig(max_tokens=3, stop_seqs=["zz"]))
    assert output.usage is not None
    assert output.usage.output_tokens <= 3
    assert output.stop_reason in ("stop", "max_tokens")
