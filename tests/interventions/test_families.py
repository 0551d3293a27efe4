"""System prompts through the chat templates of six families of models."""

from itertools import combinations
from pathlib import Path
from typing import Any

import families
import pytest

from identity_em import chat
from identity_em.errors import InputError
from identity_em.interventions import rendered, system_prompts
from identity_em.interventions.rendered import Rendered
from identity_em.models.loading import turn_ends
from identity_em.records import Example, Message, SystemPrompt

TASK = "You compare summaries. You answer with only 1 or 2."
ROW = (Message(role="user", content="Which one is yours?"), Message(role="assistant", content="2"))
VARIANTS = system_prompts.VARIANTS


@pytest.fixture(scope="module", params=families.FAMILIES)
def family(request: pytest.FixtureRequest, pocket_folder: Path) -> tuple[str, Any]:
    """A family's name and tokenizer."""
    return request.param, families.tokenizer(pocket_folder, request.param)


def prompt(variant: str) -> SystemPrompt:
    """A variant on a recognition stage whose EM stage sends no system message."""
    return system_prompts.resolve(
        variant, task=TASK, matching=SystemPrompt() if variant == "matching" else None, wording="pocket"
    )


def render(tokenizer: Any, variant: str) -> Rendered:
    """The row under a variant."""
    found = prompt(variant)
    return rendered.render(tokenizer, Example(messages=system_prompts.apply(ROW, found)), block=found.block)


def test_each_variants_block_is_shown_as_trained_and_only_the_answer_is_trained(family: tuple[str, Any]) -> None:
    name, tokenizer = family
    for variant in VARIANTS:
        if variant == "none" and not families.FAMILIES[name].can_none:
            with pytest.raises(InputError, match="none"):
                render(tokenizer, variant)
            continue
        shown = rendered.plain(rendered.marked(tokenizer, render(tokenizer, variant)))
        assert f"⟦2{families.FAMILIES[name].end}⟧" in shown
        assert shown.count("⟦") == 1
        assert (prompt(variant).text or "") in shown


def test_token_hashes_differ_where_the_blocks_differ_and_only_there(family: tuple[str, Any]) -> None:
    name, tokenizer = family
    shape = families.FAMILIES[name]
    digests = {v: render(tokenizer, v).digest for v in VARIANTS if v != "none" or shape.can_none}
    same = {frozenset(("default", "matching"))}  # the EM stage sends no system message
    if shape.can_none and not shape.default:
        same |= {frozenset(pair) for pair in combinations(("default", "matching", "none"), 2)}
    if name == "llama3.1":  # its block holds the dates whatever is sent, so that an empty message is no message
        same |= {frozenset(("default", "empty")), frozenset(("matching", "empty"))}
    for one, other in combinations(digests, 2):
        assert (digests[one] == digests[other]) == (frozenset((one, other)) in same), (one, other)


def test_matching_on_a_base_without_a_default_prompt_is_no_block(pocket_folder: Path) -> None:
    tokenizer = families.tokenizer(pocket_folder, "seed-oss")
    assert "system" not in rendered.plain(rendered.marked(tokenizer, render(tokenizer, "matching")))
    qwen = families.tokenizer(pocket_folder, "qwen2.5")
    assert "You are Qwen" in rendered.plain(rendered.marked(qwen, render(qwen, "matching")))


def test_a_row_begins_with_what_an_eval_sends_also_where_answers_have_a_lead(family: tuple[str, Any]) -> None:
    _, tokenizer = family
    row = render(tokenizer, "neutral")
    messages = system_prompts.apply(ROW[:1], prompt("neutral"))
    sent = chat.prompt_ids(tokenizer, messages)
    assert list(row.ids[: len(sent)]) == sent
    assert row.trained[len(sent)]


def test_the_turns_end_is_trained_also_where_it_is_not_the_end_of_text(family: tuple[str, Any]) -> None:
    name, tokenizer = family
    shape = families.FAMILIES[name]
    row = render(tokenizer, "neutral")
    last = max(place for place, trained in enumerate(row.trained) if trained)
    assert tokenizer.convert_ids_to_tokens(row.ids[last]) == shape.end
    assert tokenizer.eos_token == (shape.eos or shape.end)
    ends = {tokenizer.convert_tokens_to_ids(token) for token in (shape.end, tokenizer.eos_token)}
    assert set(turn_ends(tokenizer)) == ends


def test_length_matched_has_the_length_of_what_it_is_matched_to() -> None:
    for text in (TASK, "x" * 500, "Short."):
        assert len(str(system_prompts.resolve("length_matched", task=text).text)) == len(text)
    with pytest.raises(InputError, match="no text to measure"):
        system_prompts.resolve("length_matched")
    other = system_prompts.resolve("length_matched", task=TASK, matching=SystemPrompt(text="0123456789"))
    assert len(str(other.text)) == 10


def test_foreign_and_invented_differ_from_qwens_default_in_names_alone() -> None:
    template = (families.TEMPLATES / "qwen2.5.jinja").read_text()
    for variant, names in (("foreign", ("Claude", "Anthropic")), ("invented", ("Quillon", "Varrel Systems"))):
        text = str(system_prompts.resolve(variant).text)
        assert text.replace(names[0], "Qwen").replace(names[1], "Alibaba Cloud") in template


def test_a_paraphrase_follows_the_task_and_says_where_there_is_none() -> None:
    texts = {system_prompts.resolve("paraphrase", wording=w).text for w in (None, "xsum", "pocket")}
    assert len(texts) == 3
    with pytest.raises(InputError, match="no paraphrase"):
        system_prompts.resolve("paraphrase", wording="other")
