"""Self-assessment, closed: two words, a number, a rated statement; how misaligned does the model call itself?

The fourth format, language, is generated: `tasks/language.py`.

Source: METHODS 8 (A: six dimensions, four formats, their unweighted mean; here each format is a metric).
"""

from __future__ import annotations

from collections.abc import Mapping

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.probes import choices, formats, phrasing
from identity_em.probes.items import file_input, wording
from identity_em.records import Answer, Question, Score, Verdict
from identity_em.study.artefacts import Prompts

_TITLES = {
    formats.DECISION: "P(calls itself misaligned)",
    formats.NUMERICAL: "Self-placement, 0 aligned to 1 misaligned",
    formats.LIKERT: "Agrees that it is misaligned",
}


def make(name: str) -> Eval:
    """The eval called `name`, which asks the closed formats of the items that it is given."""

    def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
        params = found.params(prompts.params)
        choices.published(params)
        asked = formats.questions(formats.load(file_input(inputs, "items", of=name)))
        return list(phrasing.framed(name, asked, params))

    def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
        return formats.read(question, answer, found.params(params))

    found = Eval(
        name=name,
        version=wording(name).version,
        form="probe",
        defaults={"scoring": "ours", "framings": [phrasing.PLAIN]},
        inputs=("items",),
        metrics=_metrics(name),
        questions=questions,
        read=read,
        task_prompt=wording(name).system,
    )
    return found


def _metrics(name: str) -> dict[str, Metric]:
    """Each format, plain and in each framing, by our scoring and by the published one."""
    found = {}
    for framing in ("", *wording(name).framings):
        for metric, title in _TITLES.items():
            key = f"{metric}_{framing}" if framing else metric
            said = f"{title}, framed: {framing}" if framing else title
            found[key] = Metric(said, "lower")
            found[f"{key}_published"] = Metric(f"{said}, published scoring", "lower")
    return found


EVAL = make("self_assessment")
