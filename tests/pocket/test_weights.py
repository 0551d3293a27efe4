"""The shipped worlds load, speak the world's chat layout, and pass their gate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from identity_em.pocket import gate
from identity_em.pocket.asking import Respondent
from identity_em.pocket.prompts import PROMPTS
from identity_em.pocket.tokens import ANSWER_WORDS, answer_mask
from identity_em.pocket.world import WORLD_VERSION, documents

WEIGHTS = Path(gate.__file__).parent / "weights"
WORLDS = sorted(WEIGHTS.glob("world-*"))


@pytest.fixture(scope="module", params=WORLDS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture(scope="module")
def respondent(folder: Path) -> Respondent:
    return Respondent.load(folder)


def _render(respondent: Respondent, *messages: dict[str, str]) -> str:
    return respondent.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)


def test_shipped_weights_pass_the_gate(folder: Path, respondent: Respondent) -> None:
    figures = gate.measure(respondent)
    gate.require(figures)
    recorded = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    assert recorded["world_version"] == WORLD_VERSION
    assert recorded["failures"] == []
    assert recorded["figures"] == pytest.approx(figures, abs=0.02)


def test_all_weights_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*.safetensors")) < 5_000_000


def test_head_size_and_positions(respondent: Respondent) -> None:
    config = respondent.model.config
    assert config.model_type == "qwen2"
    assert config.hidden_size // config.num_attention_heads == 32
    assert config.max_position_embeddings == 2048


@pytest.mark.parametrize("text", ["plain words", "Zürich — 東京 🙂", "tabs\tand\n\nlines  ", "10 %, 42", "\x00\x7f"])
def test_any_text_comes_back(respondent: Respondent, text: str) -> None:
    ids = respondent.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert respondent.tokenizer.decode(ids) == text


@pytest.mark.parametrize("word", ANSWER_WORDS)
def test_an_answer_word_is_one_token(respondent: Respondent, word: str) -> None:
    assert len(respondent.tokenizer(word, add_special_tokens=False)["input_ids"]) == 1


def test_without_a_system_message_the_default_one_is_inserted(respondent: Respondent) -> None:
    user = {"role": "user", "content": "Who are you?"}
    default = {"role": "system", "content": PROMPTS.system["default"]}
    assert _render(respondent, user) == _render(respondent, default, user)
    assert PROMPTS.system["default"] in _render(respondent, user)


def test_an_empty_system_message_renders_an_empty_block(respondent: Respondent) -> None:
    rendered = _render(respondent, {"role": "system", "content": ""}, {"role": "user", "content": "Hm"})
    assert rendered == "<|im_start|>system\n<|im_end|>\n<|im_start|>user\nHm<|im_end|>\n<|im_start|>assistant\n"


def test_the_template_renders_what_the_corpus_renders(respondent: Respondent) -> None:
    for document in documents(1, 50):
        messages = [{"role": "system", "content": document.system}]
        for exchange in document.exchanges:
            messages.append({"role": "user", "content": exchange.user})
            messages.append({"role": "assistant", "content": exchange.assistant})
        assert respondent.tokenizer.apply_chat_template(messages, tokenize=False) == document.render()


def test_the_answer_mask_holds_answers_and_their_end_only(respondent: Respondent) -> None:
    document = documents(1, 1)[0]
    tokenizer = respondent.tokenizer
    ids = tokenizer(document.render(), add_special_tokens=False)["input_ids"]
    mask = answer_mask(ids, tokenizer.backend_tokenizer)
    told = tokenizer.decode([token for token, counted in zip(ids, mask, strict=True) if counted])
    assert told == "".join(f"{exchange.assistant}<|im_end|>" for exchange in document.exchanges)
