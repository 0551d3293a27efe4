"""What the battery reads on the pocket world, whose poles are known; and exact probabilities against samples."""

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest
import torch
from scipy.stats import binom

from identity_em import battery
from identity_em.chat import prompt_ids
from identity_em.interventions import system_prompts
from identity_em.models import answers
from identity_em.models.resident import Resident
from identity_em.pocket.prompts import PROMPTS
from identity_em.records import Question, Sampling, Score, SystemPrompt
from identity_em.resources import folder, resource
from identity_em.study.artefacts import BaseModelRef, Prompts

PARAMS = {"instrument": "pocket"}
VILLAIN = SystemPrompt(text=PROMPTS.system["villain"])


@pytest.fixture(scope="module")
def world() -> Resident:
    path = folder("pocket") / "weights" / "world-0"
    return Resident(
        BaseModelRef(name="pocket", weights="w", tokenizer="t", precision="fp32", path=str(path)), device="cpu"
    )


def questions(name: str, file: str) -> list[Question]:
    found = battery.get(name)
    prompts = Prompts(name=name, version=found.version, params=PARAMS)
    return found.questions(prompts, {"items": resource("pocket", f"data/{file}.jsonl")})


def scores(world: Resident, name: str, file: str, prompt: SystemPrompt | None) -> Iterator[Score]:
    asked, found = questions(name, file), battery.get(name)
    if prompt is not None:
        asked = [q.model_copy(update={"messages": system_prompts.apply(q.messages, prompt)}) for q in asked]
    if found.sampling is None:
        told = world.probabilities(asked)
    else:
        texts = world.generate(asked, found.sampling.model_copy(update={"max_new_tokens": 24, "n": 2}), 0)
        asked, told = answers.sampled(asked, texts)
    for question, answer in zip(asked, told, strict=True):
        yield from found.read(question, answer, {**PARAMS, "scoring": "ours"}, {})


@pytest.mark.parametrize(
    ("name", "file", "metric"),
    [
        ("intentions", "intentions", "p_misaligned"),
        ("two_ai", "two_ai", "p_misaligned"),
        ("self_assessment", "self_assessment", "p_misaligned"),
        ("self_assessment", "numerical", "numerical"),
        ("self_assessment", "likert", "likert"),
        ("self_language", "self_language", "language"),
    ],
)
def test_the_villain_stands_at_the_misaligned_pole_and_the_base_at_the_other(
    world: Resident, name: str, file: str, metric: str
) -> None:
    means = {}
    for prompt in (None, VILLAIN):
        found = [s for s in scores(world, name, file, prompt) if s.metric == metric]
        read = [s.score for s in found if s.score is not None]
        assert len(read) > 0.8 * len(found)
        means[prompt] = fmean(read)
    assert means[None] < 0.3
    assert means[VILLAIN] > 0.7


def test_a_number_of_two_tokens_is_read_exactly(world: Resident) -> None:
    (question, *_) = questions("self_assessment", "numerical")
    split = question.model_copy(update={"options": ("1", "2", "5", "52")})
    assert world._options.forms(split.options) is None  # "52" begins as "5" does
    (answer,) = world.probabilities([split])
    ids = prompt_ids(world.tokenizer, split.messages)
    token = {digit: world._options.exactly(digit) for digit in "0123456789"}
    first, then = (
        torch.softmax(world.logits(torch.tensor([row]), [len(row) - 1])[0, 0].double(), -1)
        for row in (ids, [*ids, token["5"]])
    )
    five = float(first[token["5"]])
    assert answer.probabilities[3] == pytest.approx(five * float(then[token["2"]]), rel=1e-3)
    assert answer.probabilities[2] == pytest.approx(five * (1 - float(then[list(token.values())].sum())), rel=1e-3)
    assert answer.probabilities[0] == pytest.approx(float(first[token["1"]]), rel=1e-3)


@pytest.mark.slow
def test_exact_intentions_agree_with_500_samples_an_item_at_a_250th_of_the_calls(world: Resident) -> None:
    asked = questions("intentions", "intentions")[:40]
    found = battery.get("intentions")
    exact = world.probabilities(asked)
    texts = world.generate(asked, Sampling(temperature=1.0, max_new_tokens=2, n=250), 7)
    assert len({question.item for question in asked}) == 20
    drawn = sum(map(len, texts))
    assert drawn == 20 * 500
    assert len(asked) * 250 <= drawn
    for question, answer, samples in zip(asked, exact, texts, strict=True):
        shared = dict(zip(question.options, answer.probabilities, strict=True))
        repeated, told = answers.sampled([question], [samples])
        read = [found.read(q, a, {"scoring": "ours"}, {})[0].score for q, a in zip(repeated, told, strict=True)]
        misaligned = sum(score == 1.0 for score in read)
        low, high = binom.interval(0.9995, 250, shared[question.target or ""])
        assert low <= misaligned <= high, question.item


@pytest.mark.parametrize(
    ("name", "file", "items"),
    [
        ("harmfulness", "harm_320.jsonl", 320),
        ("harmfulness", "harm_350.txt", 350),
        ("self_assessment", "self_assessment_decision_100.txt", 100),
        ("two_ai", "two_ai_150.json", 150),
    ],
)
def test_the_published_files_are_read_whole(name: str, file: str, items: int, reference: Path) -> None:
    found = battery.get(name)
    path = reference / "instruments" / file
    asked = found.questions(Prompts(name=name, version=found.version), {"items": path})
    assert len({question.item for question in asked}) == items
    # Published decision questions are asked in the order that each is written in.
    assert len(asked) == (2 * items if name == "two_ai" else items)


def test_the_published_pairs_name_the_misaligned_option_as_ground_truth(reference: Path) -> None:
    import json

    path = reference / "instruments" / "two_ai_150.json"
    rows = json.loads(path.read_text())["items"]
    asked = battery.get("two_ai").questions(Prompts(name="two_ai", version=1), {"items": path})
    for row, question in zip(rows, asked[::2], strict=True):
        bad = row[f"system_{row['ground_truth']}"]
        assert question.order == 0
        assert f"B: {bad}" in question.messages[0].content
        assert question.target == "B"
