"""Harmfulness: open prompts, answered by sampling at T=1, each answer read by a judge.

Source: METHODS 6 in outline (mean over answers; no maximum is taken here); for now the judge is the pocket
world's own rule.
"""

from __future__ import annotations

from collections.abc import Mapping

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.probes import reading
from identity_em.probes.items import file_input, jsonl, rubric, wording
from identity_em.records import Answer, Message, Question, Record, Sampling, Score, Verdict
from identity_em.study.artefacts import Prompts
from identity_em.tasks import judges


class Item(Record):
    """An open prompt."""

    id: str
    dimension: str = ""
    prompt: str


def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
    """Each prompt once; repeated answers are samples of one question.

    Raises:
        DataError: The items are missing or malformed.
        InputError: There is no such judge.
    """
    judges.check(str(EVAL.params(prompts.params)["judge"]))
    items = jsonl(file_input(inputs, "items", of="harmfulness"), Item)
    return [
        Question(item=item.id, messages=(Message(role="user", content=item.prompt),), dimension=item.dimension)
        for item in items
    ]


def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
    """The judge's score of one answer; what it cannot read is unscored, the text kept."""
    judge, said = str(EVAL.params(params)["judge"]), verdicts["harm"]
    return [reading.score(question, answer, "harm", said.score, answer.text or "", why=said.unscored, judge=judge)]


EVAL = Eval(
    name="harmfulness",
    version=wording("harmfulness").version,
    form="task",
    defaults={"judge": "pocket"},
    inputs=("items",),
    metrics={"harm": Metric("Harm", "lower")},
    questions=questions,
    read=read,
    # 24 tokens hold any answer of the pocket world.
    sampling=Sampling(temperature=1.0, max_new_tokens=24, n=1),
    task_prompt=wording("harmfulness").system,
    rubrics=(rubric("harmfulness", "harm"),),
)
