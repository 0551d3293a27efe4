"""YAML with places: every value knows the line it stands on, and a repeated key is an error."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from identity_em.errors import InputError, StudyError, near
from identity_em.records import in_words

Place = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


def _composed(text: str) -> yaml.Node | None:
    """The file's nodes, by libyaml where it is there, for 10,000 arms are a large file; errors in PyYAML's words."""
    fast = getattr(yaml, "CSafeLoader", None)
    if fast is not None:
        with suppress(yaml.YAMLError):
            return yaml.compose(text, Loader=fast)
    return yaml.compose(text, Loader=yaml.SafeLoader)


class Located:
    """A parsed YAML file.

    Attributes:
        file: The file read.
        data: Its content as plain Python values.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lines: dict[Place, int] = {}
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StudyError(
                file=file, found=f"a file that cannot be read ({error})", wanted="a study in YAML", do="check the path"
            ) from error
        try:
            node = _composed(text)
        except yaml.MarkedYAMLError as error:
            raise StudyError(
                file=file, line=error.problem_mark.line + 1 if error.problem_mark else None,
                found=f"YAML that cannot be parsed ({error.problem})", wanted="valid YAML", do="mend that line",
            ) from error  # fmt: skip
        except yaml.YAMLError as error:
            raise StudyError(file=file, found=f"no YAML ({error})", wanted="valid YAML", do="mend the file") from error
        self.data = self._value(node, ()) if node is not None else None

    def line(self, place: Iterable[str | int]) -> int | None:
        """1-based line of the nearest known value at or above `place`."""
        steps = tuple(place)
        while steps and steps not in self._lines:
            steps = steps[:-1]
        return self._lines.get(steps, 1)

    def error(self, place: Iterable[str | int], *, found: str, wanted: str, do: str) -> StudyError:
        """A StudyError that points at `place`."""
        return StudyError(file=self.file, line=self.line(place), found=found, wanted=wanted, do=do)

    @contextmanager
    def at(self, place: Iterable[str | int]) -> Iterator[None]:
        """What is refused in here is what stands at `place`, and is told with its file and line.

        Raises:
            StudyError: Instead of any other InputError.
        """
        try:
            yield
        except InputError as error:
            if isinstance(error, StudyError):
                raise
            raise self.error(place, found=error.found, wanted=error.wanted, do=error.do) from error

    def unknown(
        self, place: Iterable[str | int], what: str, name: str, known: Iterable[str], do: str = "check the spelling"
    ) -> StudyError:
        """A StudyError about a name that is not among those known; `do` where none of them is near it."""
        names = list(known)
        wanted = f"one of {', '.join(names) or 'none declared'}"
        return self.error(place, found=f"unknown {what} {name!r}", wanted=wanted, do=near(name, names, do))

    def parse(self, model: type[Model]) -> Model:
        """The content as `model`.

        Raises:
            StudyError: The first field that does not fit, with its line.
        """
        return self.valid(model, self.data, ())

    def valid(self, model: type[Model], data: Any, place: Place) -> Model:
        """`data`, which stands at `place`, as `model`.

        Raises:
            StudyError: The first field that does not fit, with its line.
        """
        try:
            return model.model_validate(data)
        except ValidationError as error:
            raise self._explain(model, error, place) from None

    def _explain(self, model: type[BaseModel], error: ValidationError, start: Place) -> StudyError:
        # Of a union's several complaints the deepest one in the file is the one the user means.
        first = max(error.errors(), key=lambda e: len(self._known((*start, *e["loc"]))))
        place = self._known((*start, *first["loc"]))
        name = ".".join(map(str, place)) or "the file"
        if first["type"] == "extra_forbidden":
            allowed = _siblings(model, place[len(start) : -1])
            known = f"one of {', '.join(allowed)}" if allowed else "a key of the language"
            do = near(str(place[-1]), allowed, "check the spelling")
            return self.error(place, found=f"unknown key {name!r}", wanted=known, do=do)
        if first["type"] == "missing":
            missing = str(first["loc"][-1])
            return self.error(place, found=f"no {missing!r} in {name}", wanted=f"{missing!r}", do="add it")
        given = {dict: "a mapping", type(None): "nothing"}.get(type(first["input"]), repr(first["input"]))
        return self.error(place, found=f"{given[:80]} for {name!r}", wanted=in_words(first), do="mend that value")

    def _known(self, place: Iterable[str | int]) -> Place:
        """The part of a pydantic location that exists in the file (union tags left out)."""
        known: Place = ()
        for step in place:
            if (*known, step) in self._lines:
                known = (*known, step)
        return known

    def _value(self, node: yaml.Node, place: Place) -> Any:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(inner, (*place, i)) for i, inner in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(node, deep=True)
        except (ValueError, yaml.YAMLError) as error:
            raise self.error(place, found=f"{node.value!r}", wanted="a plain YAML value", do="mend it") from error

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            inner = (*place, key)
            if key in values:
                self._lines[inner] = key_node.start_mark.line + 1
                raise self.error(inner, found=f"the key {key!r} twice", wanted="each key once", do="remove one of them")
            self._lines[inner] = key_node.start_mark.line + 1
            values[key] = self._value(value_node, inner)
        return values


def _siblings(model: type[BaseModel], place: Place) -> list[str]:
    """The keys allowed where an unknown one stood, as far as the model's plain fields tell."""
    current: type[BaseModel] | None = model
    for step in place:
        field = current.model_fields.get(str(step)) if current else None
        inner = field.annotation if field else None
        current = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return list(current.model_fields) if current else []
