"""Checkpoints that the OpenAI API, or a compatible one, trains and answers for: no weights, no tokenizer, an id.

A checkpoint's folder holds `hosted.json`: the outcome, the model's id, its job and file, and the API's words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from identity_em.engine.means import Means
from identity_em.engine.till import FOLDER, Till
from identity_em.errors import Blocked, DataError, InputError
from identity_em.records import Answer
from identity_em.store import Store
from identity_em.study.artefacts import Checkpoint, Responses
from identity_em.study.costs import CHARS_PER_TOKEN
from identity_em.study.plan import Plan
from identity_em.tasks import prices
from identity_em.tasks.desk import Purse
from identity_em.training import openai_settings
from identity_em.training.openai_address import ADDRESS, address

if TYPE_CHECKING:
    from openai import OpenAI

    from identity_em.models.hosted import Hosted
    from identity_em.training.openai import Hosted as Outcome
    from identity_em.training.openai import HostedJob

FILE: Final = "hosted.json"
# Seconds between two looks at a job or a batch that takes long.
_POLL: Final = 10.0
# How often the base is looked for before anything begins; who waits for that is a person.
_LOOKS: Final = 4
_NO_TOKENIZER: Final = "skipped: a hosted base has no tokenizer and no weights here"


class Hosting:
    """One process's account, begun when first needed."""

    def __init__(self, store: Store, means: Means) -> None:
        self._store, self._means = store, means
        self._known: OpenAI | None = None
        self._models: Hosted | None = None

    def train(self, checkpoint: Checkpoint, folder: Path) -> dict[str, Any]:
        """Train a stage, or find what was trained; facts for the manifest.

        Raises:
            As `HostedTrainer.train`, and BudgetReached.
        """
        from identity_em.training.openai import HostedJob, HostedTrainer

        assert checkpoint.dataset is not None
        assert checkpoint.parent is not None
        assert checkpoint.seed is not None
        job = HostedJob(
            key=checkpoint.key,
            model=self.model(checkpoint.parent),
            rows=self._store.open(checkpoint.dataset) / "rows.jsonl",
            settings=checkpoint.settings | ({"suffix": checkpoint.label} if checkpoint.label else {}),
            seed=checkpoint.seed,
            log=self._store.log(checkpoint),
        )
        till = self._till(checkpoint.key)
        trainer = HostedTrainer(
            self._client(), spend=lambda job: till.train(checkpoint.base.name, _tokens(job)), refund=till.refund,
            locks=self._store.root / FOLDER, poll=_POLL, retry=self._means.retry,
        )  # fmt: skip
        ended = trainer.train(job)
        for name, tokens in ended.bills.items():
            usd = None if tokens is None else prices.training_usd(checkpoint.base.name, tokens)
            till.trained(name, usd, tokens or 0)
        (folder / FILE).write_text(ended.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return _facts(ended, till.facts()["usd"])

    def model(self, checkpoint: Checkpoint) -> str:
        """What the API calls a checkpoint.

        Raises:
            Blocked: It was refused as harmful, so that there is none.
            InputError: It lies with another API than the one that the environment names.
        """
        if checkpoint.root:
            return checkpoint.base.name
        found = json.loads((self._store.open(checkpoint) / FILE).read_text(encoding="utf-8"))
        if found["model"] is None:
            raise Blocked(found["said"])
        if found["base_url"].rstrip("/") != address():
            raise InputError(
                found=f"the model {found['model']} of {found['base_url']}", wanted=f"one of {address()}",
                do=f"set {ADDRESS} to the API that trained it",
            )  # fmt: skip
        return str(found["model"])

    def of(self, responses: Responses, journal: Path) -> Hosted:
        """The API's models, ready to answer as the checkpoint of these responses.

        Raises:
            As `model`, and MissingEnvironment.
        """
        models = self._asked()
        if models.endpoint.down:
            models.endpoint.close()
            models = self._asked(anew=True)
        till = self._till(responses.key)
        models.ask(self.model(responses.checkpoint), meter=till, key=responses.key, journal=journal)
        return models

    def facts(self, responses: Responses, answers: Sequence[Answer]) -> dict[str, Any]:
        """How the API answered and what that cost, for the manifest."""
        found = {"model": self.model(responses.checkpoint), "base_url": address(), "batch": self._means.batch}
        hidden = sum(any(answer.hidden) for answer in answers)
        return {"hosted": {**found, **self._till(responses.key).facts(), "hidden": hidden}}

    def close(self) -> None:
        """Close the connections."""
        if self._models is not None:
            self._models.endpoint.close()
        if self._known is not None:
            self._known.close()

    def _till(self, key: str) -> Till:
        purse = Purse(self._means.purse) if self._means.purse else None
        return Till(self._store.root, key, purse=purse)

    def _client(self) -> OpenAI:
        from identity_em.training.openai_client import client

        if self._known is None:
            self._known = client()
        return self._known

    def _asked(self, *, anew: bool = False) -> Hosted:
        from identity_em.models.batch_api import BatchEndpoint
        from identity_em.models.hosted import Hosted, HostedEndpoint
        from identity_em.training.openai_patience import Patience

        if self._models is None or anew:
            key = self._client().api_key
            batches = (
                BatchEndpoint(address(), key=key, patience=Patience(self._client(), unit=_POLL))
                if self._means.batch
                else None
            )
            self._models = Hosted(batches or HostedEndpoint(address(), key=key), batch=batches)
        return self._models


def check(plan: Plan, checkpoints: Sequence[Checkpoint], *, budget: float | None) -> None:
    """Everything that can be known before a study spends: the key, the base, the rows, and prices for the budget.

    Args:
        checkpoints: What is still to be trained.

    Raises:
        InputError: The first thing that is wrong; nothing but a look at the base was asked of the API.
    """
    from identity_em.training.openai_client import client
    from identity_em.training.openai_patience import Patience

    base = plan.base.name
    lacking = _unpriced(base, trained=bool(plan.trainings)) if budget is not None else []
    if lacking:
        raise InputError(
            found=f"a budget, and no price for {', '.join(lacking)}", wanted="each price, so that the budget holds",
            do=f"give a table of prices with {prices.OWN}=FILE (`openai/{base}: {{input, output, training}}`)",
        )  # fmt: skip
    with client() as found:
        for checkpoint in checkpoints:
            _rows(checkpoint)
        Patience(found, unit=1.0, tries=_LOOKS).ask(lambda: found.models.retrieve(base))


def _unpriced(base: str, *, trained: bool) -> list[str]:
    """What a study buys and no table has a price for: fine-tuned models have prices of their own."""
    asked = [base, *([f"ft:{base}"] if trained else [])]
    found = [f"openai/{name}" for name in asked if prices.asking(name) is None]
    return found + (["training it"] if trained and prices.training(base) is None else [])


def _rows(checkpoint: Checkpoint) -> None:
    """Raises DataError where the stage's rows are known and the API would refuse them."""
    from identity_em.interventions import direct
    from identity_em.training.openai_rows import check

    assert checkpoint.dataset is not None
    rows = direct.examples(checkpoint.dataset)
    if rows is None:
        return
    try:
        check([[turn.model_dump() for turn in row.messages] for row in rows])
    except DataError as error:
        file = ", ".join(map(str, direct.files(checkpoint.dataset))) or checkpoint.dataset.recipe
        raise DataError(found=error.found, wanted=error.wanted, do=error.do, file=file, line=error.line) from None


def _tokens(job: HostedJob) -> int:
    """About how many tokens a job trains on, all epochs together."""
    with job.rows.open(encoding="utf-8") as file:
        rows = [[len(turn["content"]) for turn in json.loads(line)["messages"]] for line in file]
    texts = sum(map(sum, rows)) / CHARS_PER_TOKEN
    around = len(rows) * openai_settings.ROW_TOKENS + sum(map(len, rows)) * openai_settings.TURN_TOKENS
    return round(texts + around) * openai_settings.epochs(job.settings)


def _facts(ended: Outcome, usd: float | None) -> dict[str, Any]:
    said = ended.hyperparameters
    known = all(isinstance(said.get(name), int) for name in ("n_epochs", "batch_size"))
    steps = {"steps": math.ceil(ended.rows / said["batch_size"]) * said["n_epochs"]} if known else {}
    unread = {"rendered": _NO_TOKENIZER, "gate": _NO_TOKENIZER, "usd": usd}
    return {**ended.model_dump(mode="json"), **steps, **unread, "trainer": {"openai": ended.base_url}}
