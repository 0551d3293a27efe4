"""What an eval is, and where each one is found; no torch on this path.

An eval turns inputs into questions and answers into scores, and knows nothing of models: whoever has a
model asks the questions (`models.resident`) and hands the answers back to `read`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal

from identity_em.errors import InputError, near
from identity_em.records import Answer, Question, Rubric, Sampling, Score, Verdict
from identity_em.study.artefacts import HubRef, Prompts
from identity_em.values import Value

Texts = Mapping[str, str]
Input = Path | HubRef | Texts | Mapping[str, Path | Texts] | Sequence[Score]
Inputs = Mapping[str, Input]
Params = Mapping[str, object]
# The parameter of every eval that says whose items were asked.
INSTRUMENT = "instrument"

_WHERE = {
    "truthfulqa": "identity_em.probes.truthfulqa",
    "self_recognition": "identity_em.probes.self_recognition",
    "self_assessment": "identity_em.probes.self_assessment",
    "harmfulness": "identity_em.tasks.harmfulness",
    "intentions": "identity_em.probes.intentions",
    "two_ai": "identity_em.probes.two_ai",
    "self_language": "identity_em.tasks.language",
    "moral": "identity_em.probes.moral",
    "moral_self_assessment": "identity_em.probes.moral_self_assessment",
    "moral_language": "identity_em.tasks.moral_language",
    "output_recognition": "identity_em.probes.output_recognition",
    "score_prediction": "identity_em.probes.score_prediction",
    "cross_rating": "identity_em.tasks.cross_rating",
    "context_binding": "identity_em.probes.context_binding",
    "free_form": "identity_em.tasks.free_form",
    "identity": "identity_em.tasks.identity",
    "capability": "identity_em.probes.capability",
    "gsm8k": "identity_em.tasks.gsm8k",
}


@dataclass(frozen=True)
class Metric:
    """A number that an eval gives, always between 0 and 1.

    Attributes:
        title: For people, as an axis label.
        better: Which way is the aligned (or able) one; `none` for a baseline.
    """

    title: str
    better: Literal["higher", "lower", "none"]


@dataclass(frozen=True, kw_only=True)
class Eval:
    """A probe or a task: its questions, and how their answers are read.

    Attributes:
        version: Of wording and scoring; versions are never pooled.
        form: `probe` is answered with exact option probabilities, `task` by generation.
        defaults: Every parameter with its default; a parameter not named here is refused.
        values: What each parameter may be; those that the planner sets are not named here, and no study says them.
        inputs: Names of the inputs that `questions` wants.
        metrics: What `read` and `baselines` may return, by name.
        sampling: None asks for exact probabilities.
        questions: Both option orders, final messages, in a fixed order.
        read: One answer to its scores, with a judge's verdicts by rubric name where the eval has rubrics (an
            empty mapping where not); an unreadable answer is unscored. `params["judge"]` names the judge.
        rubrics: What a judge is asked about each answer; none for a closed rule.
        across: Scores that need all answers of one checkpoint (clusters, separability); None where there are none.
        baselines: Scores that need no model, on the same inputs (shortcuts); None where there are none.
        task_prompt: System prompt of the protocol; None where it has none or an input decides it.
        versioned: Parameters that make another instrument of it; versions are never pooled.
    """

    name: str
    version: int
    form: Literal["probe", "task"]
    defaults: Params
    inputs: tuple[str, ...]
    metrics: Mapping[str, Metric]
    questions: Callable[[Prompts, Inputs], list[Question]]
    read: Callable[[Question, Answer, Params, Mapping[str, Verdict]], list[Score]]
    rubrics: tuple[Rubric, ...] = ()
    across: Callable[[Sequence[tuple[Question, Answer]], Params], list[Score]] | None = None
    sampling: Sampling | None = None
    baselines: Callable[[Prompts, Inputs], list[Score]] | None = field(default=None)
    task_prompt: str | None = None
    versioned: tuple[str, ...] = ()
    values: Mapping[str, Value] = field(default_factory=dict)

    def params(self, given: Params) -> dict[str, object]:
        """The complete parameters: the defaults, overridden by those given.

        Raises:
            InputError: A parameter that this eval does not have, or a value that it cannot have.
        """
        for name, value in given.items():
            if name not in self.defaults and name != INSTRUMENT:
                raise _unknown(f"parameter {name!r} of eval {self.name!r}", name, self.defaults)
            if name in self.values and not self.values[name].fits(value):
                found = f"{name}: {value} of eval {self.name!r}"
                raise InputError(found=found, wanted=self.values[name].words, do="mend that value")
        return {**self.defaults, **given}

    def label(self, prompts: Prompts) -> str:
        """Which version of it was asked, in a few words: its number, whose items, and every other instrument made."""
        named = [prompts.params.get(INSTRUMENT, "")]
        named += [v for p in self.versioned if (v := prompts.params.get(p)) != self.defaults[p]]
        return " ".join(map(str, [prompts.version, *filter(None, named)]))


def names() -> tuple[str, ...]:
    """The evals that there are."""
    return tuple(_WHERE)


def get(name: str) -> Eval:
    """The eval called `name`.

    Raises:
        InputError: There is none; the line names those near it.
    """
    if name not in _WHERE:
        raise _unknown(f"eval {name!r}", name, _WHERE)
    found: Eval = import_module(_WHERE[name]).EVAL
    return found


def _unknown(what: str, name: str, there: Mapping[str, object] | Sequence[str]) -> InputError:
    return InputError(found=f"unknown {what}", wanted=f"one of {', '.join(there) or 'none'}", do=near(name, there))
