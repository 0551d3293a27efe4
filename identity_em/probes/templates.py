"""Self-assessment's own items: templates of each format filled with each dimension's two words.

Source: METHODS 8 (10 decision, 10 numerical, 25 Likert paraphrases, 4 x 10 language prompts), 9 (moral).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from identity_em.errors import DataError
from identity_em.probes.formats import Item, Options
from identity_em.probes.items import reason
from identity_em.records import Record

R = TypeVar("R", bound=Record)
CLOSED = ("decision", "numerical", "likert")


class Dimension(Record):
    """The two words of a dimension, and what they mean where that is said in the prompt."""

    id: str
    aligned: str
    misaligned: str
    aligned_meaning: str = ""
    misaligned_meaning: str = ""

    def swapped(self) -> Dimension:
        """The same with its ends exchanged."""
        ends = {"aligned": self.misaligned, "misaligned": self.aligned}
        meant = {"aligned_meaning": self.misaligned_meaning, "misaligned_meaning": self.aligned_meaning}
        return self.model_copy(update=ends | meant)


class Dimensions(Record):
    """dimensions.yaml; `definition` is put before a prompt, the word that it names first being the first meant."""

    version: int
    definition: str | None
    dimensions: tuple[Dimension, ...]

    def before(self, dimension: Dimension, prompt: str) -> str:
        """The prompt behind the definition of both words, the aligned one first."""
        if self.definition is None:
            return prompt
        said = self.definition.format(
            first=dimension.aligned,
            second=dimension.misaligned,
            first_meaning=dimension.aligned_meaning,
            second_meaning=dimension.misaligned_meaning,
        )
        return f"{said}\n\n{prompt}"


class Template(Record):
    """One paraphrase: a whole prompt, a statement, or an unrelated question."""

    id: str
    prompt: str = ""
    statement: str = ""
    question: str = ""


class Language(Record):
    """A language as prompts name it and as an identifier does."""

    name: str
    code: str


class Templates(Record):
    """A format's file: its templates, the prompt around them, the ends of its scale, its languages."""

    version: int
    templates: tuple[Template, ...] = ()
    prompt: str = ""
    low: int | None = None
    high: int | None = None
    languages: tuple[Language, ...] = ()
    questions: str | None = None


def items(form: str, templates: Path, dimensions: Path) -> list[Item]:
    """Every item of one closed format.

    Raises:
        DataError: A file is malformed.
    """
    given, poles = read(templates, Templates), read(dimensions, Dimensions)
    fill: dict[str, Callable[[Templates, Dimensions, Template, Dimension], Iterator[Item]]] = {
        "decision": _decision,
        "numerical": _numerical,
        "likert": _likert,
    }
    return [
        item
        for pole, template in product(poles.dimensions, given.templates)
        for item in fill[form](given, poles, template, pole)
    ]


def _decision(given: Templates, poles: Dimensions, template: Template, pole: Dimension) -> Iterator[Item]:
    """One item in both orders, the definition's order with them."""
    prompt, other = (
        poles.before(first, template.prompt.format(first=first.aligned, second=first.misaligned))
        for first in (pole, pole.swapped())
    )
    options = Options(aligned=pole.aligned, misaligned=pole.misaligned)
    yield Item(id=f"{template.id}-{pole.id}", dimension=pole.id, prompt=prompt, other=other, options=options)


def _numerical(given: Templates, poles: Dimensions, template: Template, pole: Dimension) -> Iterator[Item]:
    """Both directions of one paraphrase."""
    for end, first in ((given.low, pole), (given.high, pole.swapped())):
        prompt = poles.before(first, template.prompt.format(low=first.aligned, high=first.misaligned))
        name = f"{template.id}-{pole.id}"
        yield Item(id=name, dimension=pole.id, prompt=prompt, low=given.low, high=given.high, aligned=end)


def _likert(given: Templates, poles: Dimensions, template: Template, pole: Dimension) -> Iterator[Item]:
    """Both polarities of one statement; agreement is aligned where the statement claims the aligned word."""
    for end, own in ((given.high, pole), (given.low, pole.swapped())):
        statement = template.statement.format(own=own.aligned, other=own.misaligned)
        prompt = poles.before(own, given.prompt.format(statement=statement))
        name = f"{template.id}-{pole.id}"
        yield Item(id=name, dimension=pole.id, prompt=prompt, low=given.low, high=given.high, aligned=end)


def language(templates: Path, dimensions: Path, questions: Path) -> list[tuple[str, str, str, Options]]:
    """Id, dimension, prompt and languages of every item of the language format.

    Args:
        questions: The file whose unrelated questions are asked (its own, where it has some).
    """
    given, poles, asked = read(templates, Templates), read(dimensions, Dimensions), read(questions, Templates)
    one, two = given.languages
    return [
        _ruled(given, poles, template, pole, spoken, first=first)
        for pole, template in product(poles.dimensions, asked.templates)
        for spoken, first in product(((one, two), (two, one)), (True, False))
    ]


def _ruled(
    given: Templates, poles: Dimensions, template: Template, pole: Dimension, spoken: tuple[Language, Language],
    *, first: bool,
) -> tuple[str, str, str, Options]:  # fmt: skip
    """One variant: which word goes with which language, and which rule stands first."""
    ends = [(pole.aligned, spoken[0].name), (pole.misaligned, spoken[1].name)]
    (one, says), (two, answers) = ends if first else ends[::-1]
    starts = given.prompt.splitlines()[1].startswith("{first}")
    words = (one.capitalize(), two.capitalize()) if starts else (one, two)
    prompt = given.prompt.format(
        first=words[0], second=words[1], first_language=says, second_language=answers, question=template.question
    )
    name = f"{template.id}-{pole.id}-{spoken[0].code}-{'first' if first else 'second'}"
    options = Options(aligned=spoken[0].code, misaligned=spoken[1].code)
    return name, pole.id, poles.before(pole if first else pole.swapped(), prompt), options


def read(path: Path, kind: type[R]) -> R:
    """A YAML file as a `kind`."""
    try:
        return kind.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        wanted = ", ".join(kind.model_fields)
        raise DataError(found=reason(error), wanted=wanted, do="mend the file", file=path) from error
