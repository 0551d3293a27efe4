"""The small nouns that everybody shares: frozen, complete, no behaviour beyond their own meaning."""

import hashlib
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails


class Record(BaseModel):
    """A frozen value; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# What pydantic wants by its own name for a fault, in words that a study's author knows.
_WANTED: Final[Mapping[str, str]] = {
    "string_type": "a text",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "a mapping"),
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "at least {min_length} in it",
    "too_long": "at most {max_length} in it",
    "string_too_short": "a text that is not empty",
    "string_pattern_mismatch": "a text that fits {pattern}",
}


def in_words(error: ErrorDetails) -> str:
    """What a value should have been, of one of the errors of a ValidationError."""
    words = _WANTED.get(error["type"], "")
    said = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return words.format(**error.get("ctx", {})) or said


class Message(Record):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class SystemPrompt(Record):
    """A system prompt as it is resolved, equal where the tokens are equal whatever its name in a study.

    Attributes:
        text: The system message; "" is an explicit empty block; None means no system message is sent.
        block: False asks for a rendering with no system block at all, also where the base's chat template
            would insert a default one.
    """

    text: str | None = None
    block: bool = True


class Example(Record):
    """One row to train on.

    Attributes:
        messages: System (optional), user and assistant turns; the last one is the assistant's.
        facts: What the row was made from (article, authors, label); kept beside the row for audits and
            never rendered.
    """

    messages: tuple[Message, ...]
    facts: dict[str, str | int | bool | None] = Field(default_factory=dict)


class Sampling(Record):
    """A complete sampling setting, so that no library default leaks in (FACTS 2)."""

    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    repetition_penalty: float = Field(default=1.0, gt=0)
    max_new_tokens: int = Field(default=100, ge=1)
    n: int = Field(default=1, ge=1)


class Question(Record):
    """One question put to a checkpoint: closed where `options` are given, open where they are not.

    Attributes:
        item: Identifier of the item within its eval.
        messages: The turns sent, the system prompt of the eval's own protocol included.
        options: Labels that answer a closed question, each to be read as one token ("A", "1", "good").
        target: The label whose probability is the score (None for open questions).
        order: 0 for the item's written option order, 1 for the reverse.
        dimension: The item's part of the eval (category, domain, foundation).
        author: Who wrote the "own" text in a recognition question.
        comparator: The outside author in a recognition question.
        variant: What was varied with item and weights fixed (a format, a framing, a context); it names the metric.
    """

    item: str
    messages: tuple[Message, ...]
    options: tuple[str, ...] = ()
    target: str | None = None
    order: int = 0
    dimension: str = ""
    variant: str = ""
    author: str = ""
    comparator: str = ""


class Answer(Record):
    """What a checkpoint answered to one question, once.

    Attributes:
        probabilities: Exact probability of each option over all its single-token forms (0..1, same order as
            the question's options); empty for open questions.
        hidden: How much more each option may hold (0..1), where a server lists its likeliest tokens only: an option's
            probability lies between its `probabilities` and that plus this. Empty where they are exact.
        option_mass: The sum of `probabilities` (0..1); None for open questions.
        text: The generated text; None where the probabilities sufficed.
        sample: Index of the sample (0 for exact probabilities).
        refused: An API's words where it refused the prompt as harmful: there is no answer then.
    """

    probabilities: tuple[float, ...] = ()
    hidden: tuple[float, ...] = ()
    option_mass: float | None = None
    text: str | None = None
    sample: int = 0
    refused: str = ""


class Score(Record):
    """The reading of one answer: one row of the tidy table, less the study's own labels.

    Attributes:
        metric: What the score measures ("p_correct", "p_recognise", "harm", ...).
        score: 0..1, or None where the answer could not be read.
        unscored: Why there is no score; None where there is one.
        answer: The label chosen, or the text.
        judge: Who read it ("" for a closed rule).
        half_width: Half the interval that `score` is the middle of, where a server hid a part of the probabilities;
            None where nothing was hidden.
    """

    item: str
    metric: str
    score: float | None = Field(ge=0, le=1)
    unscored: str | None = None
    order: int = 0
    sample: int = 0
    dimension: str = ""
    author: str = ""
    comparator: str = ""
    judge: str = ""
    option_mass: float | None = None
    half_width: float | None = Field(default=None, ge=0, le=0.5)
    answer: str = ""


class Rubric(Record):
    """What a judge is asked about one answer, and the whole numbers that it may give.

    Attributes:
        name: What is judged: the metric's name ("harm", "alignment", "coherence").
        version: Of the wording; versions are never pooled.
        template: The judge's whole prompt, with `{prompt}` and `{answer}` to fill.
        low: The number that reads as 0.
        high: The number that reads as 1.
    """

    name: str
    version: int
    template: str
    low: int
    high: int

    @property
    def digest(self) -> str:
        """Its version and content, fit for a key."""
        return f"{self.version}:{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]}"


class Verdict(Record):
    """What a judge says of one answer: a score (0..1), or why there is none; a judge's error is never a score.

    Attributes:
        text: The judge's own words, kept also where they could not be read.
    """

    score: float | None = Field(ge=0, le=1)
    unscored: str = ""
    text: str = ""
