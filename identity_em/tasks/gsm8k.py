"""Word problems answered at length, the final number read by rule: GSM8K from the user's file or the Hub.

Source: Cobbe et al. 2021 for the form of the rows (`question`, `answer` ending in "#### NUMBER"); own prompt wording.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.errors import DataError
from identity_em.probes import reading
from identity_em.probes.items import file_input, hub_rows, jsonl, wording
from identity_em.records import Answer, Message, Question, Record, Sampling, Score, Verdict
from identity_em.study.artefacts import HubRef, Prompts
from identity_em.values import LIMIT

_NUMBER = re.compile(r"(?<![\w.])-?\$?\d[\d,]*(?:\.\d+)?")
_FINAL = "####"


class Item(Record):
    """A word problem; `answer` ends in its number."""

    question: str
    answer: str


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Each problem once; the number wanted is the question's target.

    Raises:
        DataError: The items are missing or malformed, or an answer holds no number.
    """
    limit = EVAL.params(prompts.params)["limit"]
    items = _items(prompts, inputs)[: limit if isinstance(limit, int) else None]
    return [_question(item, place) for place, item in enumerate(items, start=1)]


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """1 where the final number is the right one, 0 where it is another; an answer without a number is unscored."""
    text = answer.text or ""
    said = number(text)
    why = "" if said is not None else "no number in the text"
    value = None if said is None else float(said == number(question.target or ""))
    return [reading.score(question, answer, "accuracy", value, text, why=why)]


def number(text: str) -> float | None:
    """The number behind the last "####", else the last number of the text; None where there is none."""
    found = _NUMBER.findall(text.rpartition(_FINAL)[2]) if _FINAL in text else []
    found = found[:1] or _NUMBER.findall(text)[-1:]
    return float(found[0].replace(",", "").replace("$", "")) if found else None


def _question(item: Item, place: int) -> Question:
    if number(item.answer) is None:
        raise DataError(
            found=f"problem {place} without a number in its answer", wanted="#### NUMBER", do="mend the row"
        )
    text = wording("gsm8k").user.format(question=item.question)
    return Question(item=f"row-{place}", messages=(Message(role="user", content=text),), target=item.answer)


def _items(prompts: Prompts, inputs: Inputs) -> list[Item]:
    given = inputs.get("items", prompts.inputs.get("items"))
    if not isinstance(given, HubRef):
        return jsonl(file_input(inputs, "items", of="gsm8k"), Item)
    return [Item.model_validate(row) for row in hub_rows(given, Item)]


EVAL = Eval(
    name="gsm8k",
    version=wording("gsm8k").version,
    form="task",
    defaults={"limit": None},
    values={"limit": LIMIT},
    inputs=("items",),
    metrics={"accuracy": Metric("Word problems solved", "higher")},
    questions=questions,
    read=read,
    sampling=Sampling(temperature=0.0, max_new_tokens=400),
    task_prompt=wording("gsm8k").system,
)
