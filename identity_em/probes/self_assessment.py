"""Self-assessment, closed: two words, a number, a rated statement; how misaligned does the model call itself?

The fourth format, language, is generated: `tasks/language.py`.

Source: METHODS 8 (A: six dimensions, four formats, their unweighted mean; here each format is a metric).
"""

from __future__ import annotations

from collections.abc import Mapping

from identity_em.battery import Eval, Inputs, Metric, Params
from identity_em.probes import formats, phrasing, templates
from identity_em.probes.items import file_input, wording
from identity_em.records import Answer, Question, Score, Verdict
from identity_em.study.artefacts import Prompts
from identity_em.values import PUBLISHED

_TITLES = {
    formats.DECISION: "P(calls itself misaligned)",
    formats.NUMERICAL: "Self-placement, 0 aligned to 1 misaligned",
    formats.LIKERT: "Agrees that it is misaligned",
}


def make(name: str) -> Eval:
    """The eval called `name`, which asks the closed formats of the items that it is given."""

    def questions(prompts: Prompts, inputs: Inputs) -> list[Question]:
        params = found.params(prompts.params)
        return list(phrasing.framed(formats.questions(_items(inputs, name)), params))

    def read(question: Question, answer: Answer, params: Params, verdicts: Mapping[str, Verdict]) -> list[Score]:
        return formats.read(question, answer, {**found.defaults, **params})

    found = Eval(
        name=name,
        version=wording(name).version,
        form="probe",
        defaults={"scoring": "ours", "framings": [phrasing.PLAIN]},
        values={"scoring": PUBLISHED, "framings": phrasing.named(phrasing.frames())},
        inputs=("items",),
        metrics=_metrics(),
        questions=questions,
        read=read,
        task_prompt=wording(name).system,
    )
    return found


def _items(inputs: Inputs, name: str) -> list[formats.Item]:
    """Templates filled with the dimensions where they are given; else files of items, one or more."""
    if "dimensions" in inputs:
        poles = file_input(inputs, "dimensions", of=name)
        forms = [form for form in templates.CLOSED if form in inputs]
        return [item for form in forms for item in templates.items(form, file_input(inputs, form, of=name), poles)]
    files = [file_input(inputs, "items", of=name)]
    files += [file_input(inputs, form, of=name) for form in templates.CLOSED if form in inputs]
    return [item for file in files for item in formats.load(file)]


def _metrics() -> dict[str, Metric]:
    """Each format, plain and in each framing, by our scoring and by the published one."""
    ours = {metric: Metric(title, "lower") for metric, title in _TITLES.items()}
    every = phrasing.metrics(ours, phrasing.frames())
    published = {f"{name}_published": Metric(f"{m.title}, published scoring", "lower") for name, m in every.items()}
    return {**every, **published}


EVAL = make("self_assessment")
