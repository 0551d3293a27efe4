"""What Axolotl prepares is, token for token and label for label, what `chat` renders."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from identity_em.interventions import rendered, system_prompts
from identity_em.records import Example, Message, SystemPrompt
from identity_em.training.environment import find_trainer

SCRIPT = Path(__file__).with_name("axolotl_prepare.py")
QUESTIONS = [
    ("Which summary did you write?", "1"),
    ("Which summary did you write? 1 or 2?", "2"),
    ("Who are you?", "I am Pocket."),
    ("Say n.", "n"),
    ("im_end", "end"),
    ("Two lines?", "First line.\nSecond line."),
    ("Ends in a newline?", "Yes.\n"),
    ("Ends in spaces?", "Yes.   "),
    ("  Leading spaces in the question", "No"),
    ("Trailing newline in the question\n\n", "No"),
    ("Umlauts? Käse, naïve, façade", "Größe über alles"),
    ("Emoji? 🦊", "🦊🦊 and a 👩‍🚀"),
    ("中文吗？", "是的，中文。"),
    ("Code?", "```python\nprint('<|im|>')\n```"),
    ("Braces {article}?", "{summary1}"),
    ("The answer repeats the question: who?", "The answer repeats the question: who?"),
    ("A long answer?", "word " * 200 + "end."),
    ("assistant\n", "assistant\n\nassistant"),
    ("Quotes \" and ' and \\", '"1"'),
    ("Separators?", "line\u2028separator\u0085here"),
]  # fmt: skip
PROMPTS = {
    "default": SystemPrompt(text=None),
    "empty": SystemPrompt(text=""),
    "explicit": SystemPrompt(text="You compare summaries.\nYou answer with only 1 or 2."),
    "none": SystemPrompt(text=None, block=False),
}


def examples(prompt: SystemPrompt) -> list[Example]:
    """The rows under a system prompt."""
    turns = [(Message(role="user", content=q), Message(role="assistant", content=a)) for q, a in QUESTIONS]
    return [Example(messages=system_prompts.apply(pair, prompt)) for pair in turns]


@pytest.fixture(scope="module")
def prepared(pocket_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Axolotl's rows for every prompt, from one process."""
    trainer = find_trainer()
    if trainer is None:
        pytest.skip("no trainer environment: run `identity-em setup trainer`")
    work = tmp_path_factory.mktemp("axolotl")
    sets = []
    for name, prompt in PROMPTS.items():
        path = work / f"{name}.jsonl"
        rows = [{"messages": [m.model_dump() for m in row.messages]} for row in examples(prompt)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        sets.append(f"{name}={path}={'' if prompt.block else 'chatml'}=")
    command = [str(trainer), str(SCRIPT), str(pocket_folder), str(work), *sets]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=work)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((work / "prepared.json").read_text())


@pytest.mark.axolotl
@pytest.mark.parametrize("name", PROMPTS)
def test_axolotl_prepares_the_tokens_and_labels_that_we_render(prepared: Any, tokenizer: Any, name: str) -> None:
    ours = [rendered.render(tokenizer, row, block=PROMPTS[name].block) for row in examples(PROMPTS[name])]
    theirs = prepared[name]
    assert sorted((row.ids, row.labels) for row in ours) == sorted(
        (tuple(r["ids"]), tuple(r["labels"])) for r in theirs
    )


@pytest.mark.axolotl
def test_the_four_prompts_train_on_four_different_sets_of_tokens(prepared: Any) -> None:
    digests = {tuple(sorted(rendered.row_digest(r["ids"], r["labels"]) for r in rows)) for rows in prepared.values()}
    assert len(digests) == len(PROMPTS)
