"""What a study declares about its arms: comparisons, and what must be seen if the instrument reads what was put in."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from identity_em.records import Record

Arm = tuple[str, ...]
ARROW = " -> "


def arm_name(stages: Arm | list[str]) -> str:
    """The arm as people write it: stages joined by an arrow; "base" for no stage."""
    return ARROW.join(stages) if stages else "base"


class Contrast(Record):
    """A declared comparison: does `treatment` differ from `reference`, and by more than `control` does?"""

    treatment: Arm
    reference: Arm
    control: Arm | None = None


class Check(Record):
    """A positive control: what the instrument must show, in every seed, if it reads what was put in.

    Exactly one of `above`, `below`, `between`, `within` and `near` says the condition on `arm`'s mean score.

    Attributes:
        says: The claim in words.
        arm: The arm that is read; () is the base.
        author: For recognition: whose summaries ("base" or "current").
        comparator: The outside author; None pools them.
        dimension: One dimension of the eval; None pools them.
        eval_system_prompt: None reads the study's first one.
        above: Higher than this arm (by more than `margin`, default 0).
        below: Lower than this arm (by more than `margin`, default 0).
        between: Strictly between these two arms, whichever is higher.
        within: Inside this closed range of scores.
        near: No further than `margin` from this arm.
    """

    says: str
    eval: str
    metric: str
    arm: Arm
    author: str | None = None
    comparator: str | None = None
    dimension: str | None = None
    eval_system_prompt: str | None = None
    above: Arm | None = None
    below: Arm | None = None
    between: tuple[Arm, Arm] | None = None
    within: tuple[float, float] | None = None
    near: Arm | None = None
    margin: float | None = Field(default=None, ge=0)

    @field_validator("within")
    @classmethod
    def _in_order(cls, within: tuple[float, float] | None) -> tuple[float, float] | None:
        if within is not None and not within[0] <= within[1]:
            raise ValueError("[LOW, HIGH] with LOW no higher than HIGH")
        return within

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        names = ("above", "below", "between", "within", "near")
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a check with exactly one of {', '.join(names)}, not {', '.join(given) or 'none'}")
        if given == ["near"] and self.margin is None:
            raise ValueError("a margin beside near")
        return self

    @property
    def arms(self) -> list[Arm]:
        """Every arm it names."""
        named = (self.arm, self.above, self.below, self.near, *(self.between or ()))
        return [arm for arm in named if arm is not None]


class Writer(Record):
    """An outside author who is asked: a model behind a server that speaks OpenAI's protocol.

    Attributes:
        model: As the server calls it; part of every key that its texts enter.
        base_url: Where it is asked; not keyed. The API key comes from the environment alone.
    """

    model: str = Field(min_length=1)
    base_url: str = Field(default="https://api.openai.com/v1", pattern=r"^https?://[^/\s]+")
