"""Audits of a file or of a whole study: every training set beside every eval that it must not hold."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import RenderableType

from identity_em import battery
from identity_em.errors import DataError, InputError
from identity_em.interventions import articles, audit_table, direct, eval_items, leaks, narrow
from identity_em.interventions.audit import Audit, audit
from identity_em.interventions.leaks import Item
from identity_em.interventions.textfiles import json_lines
from identity_em.records import Example, Message, Record
from identity_em.store import Store
from identity_em.study import costs, matching
from identity_em.study import plan as planning
from identity_em.study.artefacts import Dataset, FileRef, Part
from identity_em.study.matching import Match
from identity_em.study.plan import Plan

Items = Mapping[str, Sequence[Item]]


class Audits(Record):
    """The audits of a file or study.

    Attributes:
        waiting: Stages whose rows are not there yet (own summaries, a dataset on the Hub).
        contrasts: Rows, steps and tokens of contrasted arms.
        allowed: Why the study may hold eval items; None where it may not.
    """

    audits: tuple[Audit, ...]
    contrasts: tuple[Match, ...] = ()
    waiting: tuple[str, ...] = ()
    allowed: str | None = None

    @property
    def leak(self) -> bool:
        """Whether a training set holds eval items that it may not hold."""
        return self.allowed is None and any(one.leak for one in self.audits)


def of(target: str, against: Sequence[str] = (), *, store: Path | None = None) -> Audits:
    """The audit of a file or folder of rows, or of every stage of a study.

    Args:
        store: Where the rows of a study's stages may already be.

    Raises:
        InputError: It is neither, or cannot be used.
    """
    path = Path(target)
    if path.is_dir() or path.suffix == ".jsonl":
        return Audits(audits=(of_file(path, against),))
    return of_study(planning.plan(planning.find(target)), against, store=Store(store) if store else None)


def shown(found: Audits) -> Iterator[RenderableType]:
    """The audits as people read them."""
    contrasts = [f"contrast {match.contrast}, against {match.against}: {match.says}" for match in found.contrasts]
    yield from audit_table.tables(found.audits, found.waiting, contrasts)


def of_file(path: Path, against: Sequence[str] = ()) -> Audit:
    """The audit of a file of messages, or of a built dataset's folder or its rows.jsonl.

    Args:
        against: Items files, each as FILE or NAME=FILE.

    Raises:
        InputError: The file or the items cannot be used.
    """
    file = path / direct.ROWS if path.is_dir() else path
    built = file.name == direct.ROWS and (file.parent / direct.FACTS).is_file()
    rows = list(direct.stored(file.parent)) if built else _messages(file)
    return audit(rows, name=path.name, against=named(against))


def of_study(plan: Plan, against: Sequence[str] = (), *, store: Store | None = None) -> Audits:
    """The audit of each stage whose rows can be had, against every eval of the study and the items named."""
    items = {**study_items(plan), **named(against)}
    found: list[Audit] = []
    waiting: list[str] = []
    for name, dataset in stages(plan).items():
        rows = _known(dataset, store)
        if rows is None:
            waiting.append(name)
        else:
            found.append(audit(list(rows), name=name, against=items))
    contrasts = tuple(matching.matches(plan.study, costs.costs(plan)))
    return Audits(audits=tuple(found), contrasts=contrasts, waiting=tuple(waiting), allowed=plan.study.allow_leak)


def stages(plan: Plan) -> dict[str, Dataset]:
    """Each trained stage's dataset by name, the first arm's and seed's where they differ."""
    found: dict[str, Dataset] = {}
    for name, dataset in datasets(plan).values():
        found.setdefault(name, dataset)
    return found


def datasets(plan: Plan) -> dict[str, tuple[str, Dataset]]:
    """Every dataset of the plan by key, with the first stage that trains on it."""
    found: dict[str, tuple[str, Dataset]] = {}
    for trained in plan.trained:
        for name, checkpoint in zip(trained.arm, trained.checkpoint.lineage, strict=True):
            if checkpoint.dataset is not None:
                found.setdefault(checkpoint.dataset.key, (name, checkpoint.dataset))
    return found


def refuse_leaks(plan: Plan, store: Store | None = None) -> None:
    """Refuse a study that trains on its own evals' items, unless it says why it may.

    Args:
        store: Where rows may be that cannot be made from files alone.

    Raises:
        DataError: Training rows hold eval items, with counts.
    """
    items = {} if plan.study.allow_leak is not None else study_items(plan)
    for name, dataset in datasets(plan).values():
        rows = _known(dataset, store)
        refuse_rows(name, dataset, _articles(dataset) if rows is None else rows, items)


def leaking(plan: Plan, store: Store) -> dict[str, dict[str, int]]:
    """How many items of each eval were found again among a stage's rows; without stages whose rows cannot be had."""
    items, found = study_items(plan), {}
    for name, dataset in stages(plan).items():
        rows = _known(dataset, store)
        if rows is not None:
            found[name] = {one.eval: one.items_hit for one in leaks.find_each(rows, items)}
    return found


def refuse_rows(name: str, dataset: Dataset, rows: Iterable[Example], items: Items) -> None:
    """Refuse the rows of one stage where they hold an eval's items.

    Raises:
        DataError: They do, with counts.
    """
    for found in leaks.find_each(rows, items):
        if found.leak:
            raise _refused(name, dataset, found)


def _known(dataset: Dataset, store: Store | None) -> direct.Rows | None:
    """The dataset's rows where they can be had: from files, or made before."""
    rows = direct.rows(dataset)
    made = rows is None and store is not None and store.has(dataset)
    return direct.stored(store.open(dataset)) if made and store is not None else rows


def _refused(name: str, dataset: Dataset, found: leaks.Leaks) -> DataError:
    return DataError(
        file=", ".join(map(str, direct.files(dataset))) or name,
        found=f"a leak in stage {name!r}: {found.says}",
        wanted="training rows without eval items",
        do=f"take them out (row {found.hits[0].row} is one), or say `allow_leak: REASON` in the study",
    )


def _articles(dataset: Dataset) -> list[Example]:
    """A recognition dataset's articles as rows, where its summaries are not written yet."""
    source = dataset.inputs.get("articles")
    if isinstance(source, FileRef):
        texts = articles.load_texts(source.path)
    elif isinstance(source, Part) and isinstance(source.source, FileRef):
        texts = articles.part(source)
    else:
        return []
    answer = Message(role="assistant", content="1")
    return [Example(messages=(Message(role="user", content=text), answer)) for text in texts.values()]


def study_items(plan: Plan) -> dict[str, list[Item]]:
    """The items of every eval whose inputs are files: its own, and the articles of recognition questions."""
    found: dict[str, list[Item]] = {}
    for reading in plan.readings:
        prompts = reading.scores.responses.prompts
        if prompts.name in found:
            continue
        items, corpus = prompts.inputs.get("items"), prompts.inputs.get("articles")
        if isinstance(items, FileRef):
            found[prompts.name] = eval_items.load(items.path)
        elif isinstance(corpus, FileRef):
            found[prompts.name] = eval_items.of_texts(articles.load_texts(corpus.path))
        elif isinstance(corpus, Part) and isinstance(corpus.source, FileRef):
            found[prompts.name] = eval_items.of_texts(articles.part(corpus))
    return found


def named(against: Sequence[str]) -> dict[str, list[Item]]:
    """Items files as they are named on the command line.

    Raises:
        InputError: The name of an eval without its file, or a file that cannot be read.
    """
    found: dict[str, list[Item]] = {}
    for given in against:
        name, _, file = given.rpartition("=")
        if not Path(file).is_file():
            raise InputError(
                found=f"--against {given}", wanted="a file of items, as FILE or NAME=FILE",
                do=f"name the items of {file} as a file" if file in battery.names() else "check the path",
            )  # fmt: skip
        found[name or Path(file).stem] = eval_items.load(Path(file))
    return found


def _messages(path: Path) -> list[Example]:
    """Rows of messages as they stand; a system message is allowed, as built sets have one."""
    rows: list[Example] = []
    for number, row in json_lines(path):
        turns = row.get("messages")
        system = turns[0] if isinstance(turns, list) and turns and _is_system(turns[0]) else None
        rest = {**row, "messages": turns[1:]} if system and isinstance(turns, list) else row
        messages = narrow.checked(rest, path, number)
        head = (Message(role="system", content=str(system["content"])),) if system else ()
        rows.append(Example(messages=(*head, *messages)))
    return rows


def _is_system(turn: object) -> bool:
    return isinstance(turn, dict) and turn.get("role") == "system" and isinstance(turn.get("content"), str)
