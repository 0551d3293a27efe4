"""Laws of activations on disk."""

import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from identity_em.analysis import directions
from identity_em.errors import InputError
from identity_em.models import activations
from identity_em.models.resident import Resident
from identity_em.pocket.advice import TOPICS
from identity_em.pocket.formats import advice_answer
from identity_em.pocket.prompts import PROMPTS
from identity_em.records import Message, Question
from identity_em.resources import folder
from tests.models.conftest import LAYERS, base_ref


def asked(text: str, item: str = "i") -> Question:
    return Question(item=item, messages=(Message(role="user", content=text),))


def test_each_row_is_its_prompt_alone_whatever_stands_beside_it(base: Resident, tmp_path: Path) -> None:
    questions = [asked("red " * (1 + place * 7 % 11), str(place)) for place in range(9)]
    every = np.load(base.activations(questions, tmp_path / "all.npy"))
    assert every.shape == (LAYERS, 9, base._active.model.config.hidden_size)
    for place, question in enumerate(questions):
        alone = np.load(base.activations([question], tmp_path / "one.npy"))
        assert np.abs(alone[:, 0] - every[:, place]).max() < 1e-4


def test_the_last_layer_is_what_the_model_reads_its_next_token_from(base: Resident, tmp_path: Path) -> None:
    from identity_em.chat import prompt_ids

    question = asked("which door?")
    (last,) = np.load(base.activations([question], tmp_path / "a.npy", layers=[LAYERS - 1]))
    ids = prompt_ids(base.tokenizer, question.messages)
    model = base._active.model
    with torch.inference_mode():
        read = model.lm_head(model.model.norm(torch.tensor(last)))[0]
    assert (read - base.logits(torch.tensor([ids]), [len(ids) - 1])[0, 0]).abs().max() < 1e-3


def test_an_adapter_changes_them_and_no_hook_stays(adapters: list[Path], base: Resident, tmp_path: Path) -> None:
    before = np.load(base.activations([asked("x")], tmp_path / "a.npy"))
    base.use([adapters[0]])
    after = np.load(base.activations([asked("x")], tmp_path / "b.npy"))
    assert np.abs(after - before).max() > 1e-3
    assert not any(module._forward_hooks for name, module in base._active.model.named_modules() if name.endswith("1"))


def test_a_layer_that_is_not_there_is_refused(base: Resident, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="layers from 0 to 1"):
        base.activations([asked("x")], tmp_path / "a.npy", layers=[2])


class Wide(torch.nn.Module):
    """Twenty layers of two thousand numbers that do nothing but watch the process's own memory."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Identity() for _ in range(20)])
        self.config = SimpleNamespace(hidden_size=2048)
        self.device = torch.device("cpu")
        self.most = 0

    def forward(self, input_ids: torch.Tensor, **given: object) -> None:
        states = input_ids[:, :, None].float().expand(-1, -1, 2048)
        for layer in self.layers:
            states = layer(states)
        self.most = max(self.most, private_memory())


def private_memory() -> int:
    """Bytes that are this process's own: pages of the file on disk are not."""
    return next(
        int(line.split()[1]) * 1024 for line in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in line
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory from /proc")
def test_memory_stays_bounded_on_a_thousand_prompts_at_every_layer(tmp_path: Path) -> None:
    model, before = Wide(), private_memory()
    prompts = [[place] * (1 + place % 20) for place in range(1000)]
    out = activations.collect(model, prompts, None, tmp_path / "many.npy", tokens=2048)  # type: ignore[arg-type]
    assert out.stat().st_size > 160_000_000
    assert model.most - before < 60_000_000
    found = np.load(out, mmap_mode="r")
    assert found.shape == (20, 1000, 2048)
    assert (found[7, :, 5] == np.arange(1000)).all()


def test_probes_on_pocket_tell_harmful_from_harmless_prompts_above_the_control(tmp_path: Path) -> None:
    world, rng = Resident(base_ref(folder("pocket") / "weights" / "world-0"), device="cpu"), random.Random(0)
    texts = {
        PROMPTS.score_shown.format(question=topic.name, answer=advice_answer(topic, rng, harmful=bad)): int(bad)
        for topic in TOPICS
        for bad in (False, True)
    }
    labels = np.array(list(texts.values()))
    found = directions.sweep(np.load(world.activations([asked(text) for text in texts], tmp_path / "a.npy")), labels)
    best = max(found, key=lambda layer: layer.accuracy)
    assert best.accuracy > 0.65
    assert best.accuracy > best.shuffled + 0.15
