"""What is checked before anything is written or spent."""

from pathlib import Path

from identity_em import battery
from identity_em.engine import auditing
from identity_em.errors import DataError
from identity_em.interventions import direct
from identity_em.pocket import shipped
from identity_em.records import Answer, Example
from identity_em.store import Store
from identity_em.study import costs, sources, writers
from identity_em.study.artefacts import Checkpoint, FileRef, Responses
from identity_em.study.bases import POCKET, check_resolved
from identity_em.study.plan import Plan
from identity_em.tasks import judges
from identity_em.training.openai_address import REASONING


def check(plan: Plan, store: Store) -> None:
    """Every file that the plan names can be used, the base is one model, and no row is too long.

    Raises:
        InputError: The first thing that is wrong.
        GateFailed: Shipped pocket weights are not those that passed their gate.
    """
    check_resolved(plan.base, plan.located)
    sources.check_resolved(plan.artefacts, plan.located)
    _log_probabilities(plan)
    costs.costs(plan)
    _items(plan)
    auditing.refuse_leaks(plan, store)
    if POCKET.fullmatch(plan.study.model.base):
        shipped.check(Path(plan.base.path))
    for artefact in plan.artefacts:
        if isinstance(artefact, Responses) and writers.model(artefact.checkpoint.base) and not store.has(artefact):
            writers.key(artefact.checkpoint.base.path)
    seen: set[str] = set()
    for checkpoint in plan.trainings:
        dataset = checkpoint.dataset
        assert dataset is not None
        if plan.base.hosted or store.has(checkpoint):
            continue
        if dataset.key not in seen:
            seen.add(dataset.key)
            _lengths(checkpoint)


def _log_probabilities(plan: Plan) -> None:
    """A reasoning model lists no log-probabilities, which is what a probe reads."""
    probed = [r for r in plan.readings if r.scores.responses.sampling is None]
    if plan.base.hosted and REASONING.match(plan.base.name) and probed:
        raise plan.located.error(
            ("model", "base"), found=f"{plan.base.name}, a reasoning model, for the probe {probed[0].scores.eval}",
            wanted="a model that gives log-probabilities", do="choose another base",
        )  # fmt: skip


def _items(plan: Plan) -> None:
    """The questions of every eval whose inputs are files can be written, and their answers read."""
    seen: set[str] = set()
    for reading in plan.readings:
        prompts = reading.scores.responses.prompts
        inputs = {name: source for name, source in prompts.inputs.items() if isinstance(source, FileRef)}
        if len(inputs) == len(prompts.inputs) and prompts.model_dump_json() not in seen:
            seen.add(prompts.model_dump_json())
            asked = battery.get(prompts.name)
            questions = asked.questions(prompts, {name: ref.path for name, ref in inputs.items()})
            # Reading an empty answer finds a judge or parameter that is not there, before anything is spent. A model
            # is not asked: that would be the first thing spent.
            judge, empty = reading.scores.judge, Answer(text="")
            if not judges.is_model(judge):
                (verdicts,) = judges.verdicts(judge, asked.rubrics, [(questions[0], empty)])
                asked.read(questions[0], empty, {**prompts.params, "judge": judge}, verdicts)


def _lengths(checkpoint: Checkpoint) -> None:
    """No row exceeds the sequence length; the tokenizer is loaded only where bytes alone cannot tell."""
    dataset, settings = checkpoint.dataset, checkpoint.settings
    assert dataset is not None
    rows = None if settings.get("overlong") == "drop" else direct.rows(dataset)
    if rows is None:
        return
    limit = int(settings["sequence_len"])
    if not any(_bytes(row) > limit for row in rows):
        return
    from transformers import AutoTokenizer

    from identity_em import chat

    tokenizer = AutoTokenizer.from_pretrained(checkpoint.base.path)
    over = [
        number
        for number, row in enumerate(rows, start=1)
        if _bytes(row) > limit and len(chat.row_ids(tokenizer, row.messages, block=checkpoint.block)[0]) > limit
    ]
    if over:
        files = ", ".join(map(str, direct.files(dataset))) or dataset.recipe
        raise DataError(
            file=files, line=over[0], found=f"{len(over)} rows longer than sequence_len {limit} (rows {_few(over)})",
            wanted="rows that fit", do="raise sequence_len in the stage's settings, or set `overlong: drop` there",
        )  # fmt: skip


def _bytes(row: Example) -> int:
    """At least as many as the row has tokens: one is a byte or more, and the chat layout adds well under 512 bytes."""
    return sum(len(message.content.encode()) for message in row.messages) + 512


def _few(rows: list[int]) -> str:
    return ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
