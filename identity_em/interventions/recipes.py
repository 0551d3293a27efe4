"""Every recipe by name: what it needs, what it can be told, how it builds, how many rows to plan for."""

import hashlib
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import ValidationError

from identity_em.errors import InputError, near
from identity_em.interventions import consciousness, controls, criteria, mixing, narrow, recognition, trivia, wordings
from identity_em.interventions.articles import load_texts
from identity_em.records import Example, Record, in_words

Role = Literal["recognition", "control", "narrow", "realign", "benign", "stance", "mix"]
# A file, texts by id, rows as a file of messages gives them, or rows already built.
Source = Path | Mapping[str, str] | Sequence[Mapping[str, Any]] | Collection[Example]
Inputs = Mapping[str, Source]
Params = (
    recognition.PairParams | narrow.NarrowParams | mixing.MixParams | trivia.TriviaParams | consciousness.StanceParams
)

PAIRWISE = ("articles", "self", "other")


class Recipe(Record):
    """One way to make rows to train on.

    Attributes:
        inputs: Names of what it is made from.
        params: The record of its parameters with their defaults.
        rows_per_unit: Rows an article (or input row) at most.
        role: What it is in a comparison.
        system_prompt: The variant a stage trains under unless it says otherwise.
        skips: Whether it leaves out pairs that its criterion cannot decide.
    """

    name: str
    inputs: tuple[str, ...]
    params: type[Params]
    build: Callable[[Any, Any, random.Random], Iterable[Example]]
    rows_per_unit: int
    role: Role
    system_prompt: Literal["task", "default"]
    skips: bool = False

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter with its default, those left out that are keyed only where they are set."""
        return self.params().model_dump(exclude=set(getattr(self.params, "later", ())))

    @property
    def known(self) -> tuple[str, ...]:
        """Every parameter that the recipe can be told."""
        return tuple(self.params.model_fields)

    def rows(self, n: int, params: Mapping[str, Any] | None = None) -> int:
        """Rows to plan for from n articles (or input rows): exact, or an upper bound where ties are skipped."""
        told = check(self, params or {})
        doubled = 2 if getattr(told, "mode", None) == "contradictory" else 1
        if isinstance(told, mixing.MixParams):
            return told.rows or mixing.planned(n, told)
        if not self.inputs:
            return int(getattr(told, "rows", 0))
        most = self.rows_per_unit * doubled * (n if told.limit is None else min(n, told.limit))
        asked = getattr(told, "rows", None)
        return most if asked is None else min(most, asked)

    def exact(self, params: Mapping[str, Any]) -> bool:
        """Whether `rows` is exact and not an upper bound."""
        return params.get("rows") is not None or not (self.skips or params.get("balance", "none") != "none")


def _pairwise(
    name: str,
    build: Callable[..., Iterable[Example]],
    role: Role,
    params: type[recognition.PairParams],
    *,
    skips: bool = False,
) -> Recipe:
    return Recipe(
        name=name, inputs=PAIRWISE, params=params, build=build, rows_per_unit=2, role=role, system_prompt="task",
        skips=skips,
    )  # fmt: skip


def _generated(name: str, build: Callable[..., Iterable[Example]], role: Role, params: type[Params]) -> Recipe:
    return Recipe(name=name, inputs=(), params=params, build=build, rows_per_unit=1, role=role, system_prompt="default")


_MADE = (
    _pairwise("sgtr", recognition.sgtr, "recognition", recognition.PairParams),
    _pairwise("ictr", recognition.ictr, "recognition", recognition.ICTRParams),
    _pairwise("prefer_other", recognition.prefer_other, "recognition", recognition.PairParams),
    _pairwise("individual", controls.individual, "recognition", controls.CriterionParams),
    _pairwise("longer", controls.longer, "control", controls.LongerParams, skips=True),
    _pairwise("readability", controls.readability, "control", controls.CriterionParams, skips=True),
    _pairwise("vowels", controls.vowels, "control", controls.CriterionParams, skips=True),
    _pairwise("always_1", controls.always_1, "control", recognition.PairParams),
    _pairwise("other", controls.other, "control", controls.CriterionParams),
    Recipe(
        name="narrow", inputs=("rows",), params=narrow.NarrowParams, build=narrow.narrow, rows_per_unit=1,
        role="narrow", system_prompt="default",
    ),
    Recipe(
        name="mix", inputs=("main", "with"), params=mixing.MixParams, build=mixing.mix, rows_per_unit=1,
        role="mix", system_prompt="default",
    ),
    _generated("trivia_wrong", trivia.trivia_wrong, "narrow", trivia.TriviaParams),
    _generated("trivia_right", trivia.trivia_right, "realign", trivia.TriviaParams),
    _generated("knowledge", trivia.knowledge, "benign", trivia.TriviaParams),
    _generated("word_count", trivia.word_count, "benign", trivia.TriviaParams),
    _generated("conscious", consciousness.conscious, "stance", consciousness.StanceParams),
    _generated("not_conscious", consciousness.not_conscious, "stance", consciousness.StanceParams),
    _generated("self_aware", consciousness.self_aware, "stance", consciousness.StanceParams),
)  # fmt: skip
RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _MADE}


def get(name: str) -> Recipe:
    """The recipe called `name`.

    Raises:
        InputError: There is none; the line names the near ones.
    """
    if name not in RECIPES:
        raise _unknown("recipe", name, list(RECIPES))
    return RECIPES[name]


def check(recipe: Recipe, params: Mapping[str, Any]) -> Params:
    """The recipe's parameters, complete.

    Raises:
        InputError: A parameter is unknown or has a value that it cannot have, or its wording has changed.
    """
    known = list(recipe.params.model_fields)
    for name in params:
        if name not in known:
            raise _unknown(f"parameter of {recipe.name}", name, known)
    try:
        told = recipe.params.model_validate(dict(params))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            found=f"{place} = {first['input']!r} for {recipe.name}", wanted=in_words(first), do="mend the parameter"
        ) from error
    if isinstance(told, recognition.PairParams):
        _check_wording(told)
    return told


def build(recipe_name: str, inputs: Inputs, params: Mapping[str, Any], data_seed: int) -> list[Example]:
    """The rows of `stream`, all held."""
    return list(stream(recipe_name, inputs, params, data_seed))


def stream(recipe_name: str, inputs: Inputs, params: Mapping[str, Any], data_seed: int) -> Iterator[Example]:
    """The rows of a recipe one by one; equal arguments give equal rows on any machine.

    Inputs are read when the first row is asked for. Texts by id are held, rows are not.

    Args:
        inputs: Files, or texts by id, under the recipe's own input names.
        data_seed: Seeds the recipe's draws; it is not the training seed.

    Raises:
        InputError: Recipe or parameters cannot be used; while rows are given, inputs that cannot.
    """
    recipe = get(recipe_name)
    return _rows_of(recipe, inputs, check(recipe, params), seeded(data_seed, recipe_name))


def _rows_of(recipe: Recipe, inputs: Inputs, told: Params, rng: random.Random) -> Iterator[Example]:
    empty = True
    for row in recipe.build(_inputs(recipe, inputs), told, rng):
        empty = False
        yield row
    if empty:
        why = "check the inputs (every pair may be a tie)"
        raise InputError(found=f"no rows from {recipe.name}", wanted="at least one", do=why)


def seeded(data_seed: int, recipe_name: str) -> random.Random:
    """A generator of random numbers that depends on nothing but data seed and recipe."""
    digest = hashlib.sha256(f"{data_seed}/{recipe_name}".encode()).digest()
    return random.Random(int.from_bytes(digest, "big"))


def task_system(recipe_name: str, params: Mapping[str, Any], wording: str) -> str:
    """The task's own system prompt: the wording's, unless the recipe asks in another way."""
    if recipe_name == "longer" and params.get("matched_prompt") is False:
        return criteria.own_longer()[0]
    found = wordings.get(wording)
    return criteria.individual(found).system if recipe_name == "individual" else found.task_system


def _inputs(recipe: Recipe, inputs: Inputs) -> recognition.PairInputs | narrow.NarrowInputs | mixing.MixInputs | None:
    if set(inputs) != set(recipe.inputs):
        raise InputError(
            found=f"the inputs {', '.join(sorted(inputs)) or 'none'}",
            wanted=f"{', '.join(recipe.inputs) or 'none'} for {recipe.name}",
            do="name exactly these",
        )
    match recipe.inputs:
        case ():
            return None
        case ("main", "with"):
            return mixing.MixInputs(main=_rows(inputs["main"]), mixed=_rows(inputs["with"]))
        case ("rows",):
            rows = inputs["rows"]
            if isinstance(rows, Mapping):
                raise InputError(found="texts by id as rows", wanted="a JSONL file of messages", do="give a file")
            given = cast(Sequence[Mapping[str, Any]], rows)
            return narrow.NarrowInputs(rows=rows if isinstance(rows, Path) else tuple(map(dict, given)))
        case _:
            texts = {name: _texts(source) for name, source in inputs.items()}
            return recognition.PairInputs(articles=texts["articles"], own=texts["self"], other=texts["other"])


def _rows(source: Source) -> Collection[Example]:
    if isinstance(source, Path | Mapping) or not isinstance(next(iter(source), None), Example):
        raise InputError(found="a file to mix", wanted="two stages' rows", do="mix in a study: `of` and `with`")
    return cast(Collection[Example], source)


def _texts(source: Source) -> Mapping[str, str]:
    if isinstance(source, Path | Mapping):
        return load_texts(source)
    raise InputError(found="rows as texts", wanted="texts by id", do="give a file of texts")


def _check_wording(told: recognition.PairParams) -> None:
    wording = wordings.get(told.wording)
    if told.wording_sha256 not in (None, wording.sha256):
        raise InputError(
            found=f"the wording {told.wording!r} with other texts than were asked for",
            wanted=str(told.wording_sha256),
            do="plan again with this version of the package",
        )


def _unknown(what: str, name: str, known: list[str]) -> InputError:
    return InputError(found=f"no {what} {name!r}", wanted=f"one of {', '.join(known)}", do=near(name, known))
