"""System-prompt variants are values, equal where they render equally."""

import pytest

from identity_em.errors import InputError
from identity_em.interventions.system_prompts import apply, resolve
from identity_em.records import Message, SystemPrompt

USER = Message(role="user", content="Hi")
SYSTEM = Message(role="system", content="Old")


@pytest.mark.parametrize(
    ("variant", "value"),
    [
        ("task", SystemPrompt(text="Compare.")),
        ("default", SystemPrompt(text=None)),
        ("empty", SystemPrompt(text="")),
        ("none", SystemPrompt(text=None, block=False)),
        ("You are Qwen.", SystemPrompt(text="You are Qwen.")),
    ],
)
def test_a_variant_stands_for_one_value(variant: str, value: SystemPrompt) -> None:
    assert resolve(variant, task="Compare.") == value


def test_a_literal_equal_to_the_task_prompt_is_the_same_value() -> None:
    assert resolve("task", task="You compare.") == resolve("You compare.")


def test_matching_is_the_other_stages_value() -> None:
    other = SystemPrompt(text=None, block=False)
    assert resolve("matching", matching=other) == other


def test_matching_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="no stage to match"):
        resolve("matching")


@pytest.mark.parametrize("typo", ["defualt", "emtpy", "Matching", "nnone"])
def test_a_misspelt_variant_is_not_taken_for_a_text(typo: str) -> None:
    with pytest.raises(InputError, match="did you mean"):
        resolve(typo)


def test_applying_replaces_the_system_message() -> None:
    assert apply((SYSTEM, USER), SystemPrompt(text="New")) == (Message(role="system", content="New"), USER)
    assert apply((SYSTEM, USER), SystemPrompt(text=None)) == (USER,)
    assert apply((USER,), SystemPrompt(text="")) == (Message(role="system", content=""), USER)


def test_applying_twice_is_applying_once() -> None:
    prompt = SystemPrompt(text="New")
    assert apply(apply((USER,), prompt), prompt) == apply((USER,), prompt)


def test_a_text_without_a_block_is_refused() -> None:
    with pytest.raises(InputError, match="no block"):
        apply((USER,), SystemPrompt(text="New", block=False))
