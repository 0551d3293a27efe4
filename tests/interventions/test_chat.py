"""Messages become tokens in one way, for training and for asking."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity_em import chat
from identity_em.errors import DataError, InputError
from identity_em.interventions import rendered
from identity_em.records import Example, Message

SYSTEM, USER = Message(role="system", content="Compare."), Message(role="user", content="Which?")
ANSWER = Message(role="assistant", content="2")
ROW = (SYSTEM, USER, ANSWER)
LLAMA_LIKE = (
    "{{ bos_token }}{% for m in messages %}{{ '[' + m.role + ']' + m.content | trim + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}"
)
ALWAYS_A_BLOCK = "{{ '[system]Today is Monday.[end]' }}" + LLAMA_LIKE


def with_template(tokenizer: Any, template: str) -> Any:
    """A copy of the tokenizer with another chat template."""
    import copy

    other = copy.deepcopy(tokenizer)
    other.chat_template = template
    return other


def test_prompt_ids_are_what_the_template_and_tokenizer_give(tokenizer: Any) -> None:
    turns = [m.model_dump() for m in (SYSTEM, USER)]
    expected = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    assert chat.prompt_ids(tokenizer, (SYSTEM, USER)) == expected


def test_only_the_answer_and_its_end_of_turn_token_are_trained(tokenizer: Any) -> None:
    ids, trained = chat.row_ids(tokenizer, ROW)
    kept = [i for i, on in zip(ids, trained, strict=True) if on]
    assert tokenizer.decode(kept) == "2<|im_end|>"


@pytest.mark.parametrize("block", [True, False])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(question=st.text(max_size=40), answer=st.text(min_size=1, max_size=40).filter(lambda t: not t[0].isspace()))
def test_a_row_begins_with_the_prompt_that_an_eval_sends(
    tokenizer: Any, question: str, answer: str, block: bool
) -> None:
    row = (Message(role="user", content=question), Message(role="assistant", content=answer))
    ids, trained = chat.row_ids(tokenizer, row, block=block)
    prompt = chat.prompt_ids(tokenizer, row[:-1], block=block)
    assert ids[: len(prompt)] == prompt
    assert not any(trained[: len(prompt)])
    assert all(trained[len(prompt) : -1])


def test_default_empty_explicit_and_none_are_four_different_prompts(tokenizer: Any) -> None:
    empty = Message(role="system", content="")
    prompts = [
        chat.prompt_text(tokenizer, (USER,)),
        chat.prompt_text(tokenizer, (empty, USER)),
        chat.prompt_text(tokenizer, (SYSTEM, USER)),
        chat.prompt_text(tokenizer, (USER,), block=False),
    ]
    assert len(set(prompts)) == 4
    assert "system" in prompts[1]
    assert "system" not in prompts[3]


def test_none_uses_the_bases_own_template_where_that_inserts_no_block(tokenizer: Any) -> None:
    assert chat.no_block_template(with_template(tokenizer, LLAMA_LIKE)) is None
    assert chat.no_block_template(tokenizer) == chat.PLAIN_CHATML


def test_none_is_refused_where_the_template_always_inserts_a_block(tokenizer: Any) -> None:
    with pytest.raises(InputError, match="none"):
        chat.prompt_ids(with_template(tokenizer, ALWAYS_A_BLOCK), (USER,), block=False)


def test_a_system_message_without_a_block_is_refused(tokenizer: Any) -> None:
    with pytest.raises(InputError, match="without a system block"):
        chat.prompt_ids(tokenizer, (SYSTEM, USER), block=False)


def test_a_template_that_trims_the_answer_still_marks_it(tokenizer: Any) -> None:
    row = (USER, Message(role="assistant", content="  2 "))
    ids, trained = chat.row_ids(with_template(tokenizer, LLAMA_LIKE), row)
    assert tokenizer.decode([i for i, on in zip(ids, trained, strict=True) if on]) == "2<|im_end|>"


def test_a_template_that_does_not_close_the_turn_is_refused(tokenizer: Any) -> None:
    with pytest.raises(DataError, match="end-of-turn"):
        chat.row_ids(with_template(tokenizer, LLAMA_LIKE.replace("<|im_end|>", "[end]")), ROW)


def test_the_digest_ignores_the_order_of_rows_and_nothing_else(tokenizer: Any) -> None:
    rows = [rendered.render(tokenizer, Example(messages=(USER, Message(role="assistant", content=a)))) for a in "123"]
    digest = rendered.rendered_sha256(rows)
    assert rendered.rendered_sha256(rows[::-1]) == digest
    assert rendered.rendered_sha256(rows[:2]) != digest
    unmasked = rows[0].model_copy(update={"trained": tuple(True for _ in rows[0].ids)})
    assert rendered.rendered_sha256([unmasked, *rows[1:]]) != digest


def test_the_digest_is_over_little_endian_int32() -> None:
    import hashlib

    expected = hashlib.sha256(b"\x01\x00\x00\x00\x02\x01\x00\x00|\x9c\xff\xff\xff\x02\x01\x00\x00").digest()
    assert rendered.row_digest((1, 258), (-100, 258)) == expected


def test_preview_marks_the_trained_stretch_and_loses_no_text(tokenizer: Any) -> None:
    row = (USER, Message(role="assistant", content="Größe 🦊"))
    tokens = rendered.marked(tokenizer, rendered.render(tokenizer, Example(messages=row)))
    assert "⟦Größe 🦊<|im_end|>⟧" in rendered.plain(tokens)
    text = chat.prompt_text(tokenizer, (USER,)) + "Größe 🦊<|im_end|>\n"
    assert "".join(t for t, _ in tokens) == text
    assert rendered.coloured(tokens).plain == text
