"""How each of the four artefacts is made: a pure function of its inputs into a folder that is whole or absent."""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from identity_em import battery, provenance, store_state
from identity_em.engine.answering import Answering, journal
from identity_em.engine.hosting import Hosting
from identity_em.engine.means import Means
from identity_em.engine.outcomes import blocked
from identity_em.errors import Blocked
from identity_em.interventions import articles, direct, recipes, summaries, system_prompts, wordings
from identity_em.interventions import folder as dataset_folder
from identity_em.models import answers as answer_file
from identity_em.records import Question, Score
from identity_em.store import Store
from identity_em.study import writers
from identity_em.study.artefacts import (
    Artefact,
    Checkpoint,
    Dataset,
    FileRef,
    HubRef,
    HubRows,
    Input,
    Part,
    Prompts,
    Responses,
    Scores,
)
from identity_em.tasks import judges, known_answers
from identity_em.tasks.desk import Desk, Purse

Outcome = Literal["made", "reused", "busy", "blocked"]
ADAPTER = "adapter"
ANSWERS = "answers.jsonl"
SCORES = "scores.jsonl"


class Workshop:
    """One process's warm tools: a trainer and a resident model, each started when first needed."""

    def __init__(self, store: Store, means: Means) -> None:
        self.store, self._means = store, means
        self._trainer: Any = None
        self._hosting = Hosting(store, means)
        self._answering = Answering(store, means.served, self._hosting)

    def make(self, artefact: Artefact) -> Outcome:
        """Make one artefact whose parents are there.

        `busy` where another maker holds it; `blocked` where an API refused it as harmful: that is what was made then.

        Raises:
            IdentityEmError: It could not be made; nothing of it is in the store.
        """
        with store_state.told(self.store.root):
            done = self._make(artefact)
            return "blocked" if done != "busy" and blocked(self.store, artefact) else done

    def _make(self, artefact: Artefact) -> Outcome:
        if self.store.has(artefact):
            return "reused"
        lock = self.store.lock(artefact)
        if not lock.acquire():
            return "busy"
        with lock:
            if self.store.has(artefact, anew=True):
                return "reused"
            started = time.time()
            self.store.write(artefact, lambda folder: self._facts(artefact, folder, started))
            shutil.rmtree(self.store.resuming(artefact), ignore_errors=True)
            if isinstance(artefact, Responses):
                journal(self.store, artefact).unlink(missing_ok=True)
        return "made"

    def close(self) -> None:
        """Stop the trainer, and close what speaks to an API."""
        self._hosting.close()
        if self._trainer is not None:
            self._trainer.close()

    def _facts(self, artefact: Artefact, folder: Path, started: float) -> dict[str, Any]:
        match artefact:
            case Dataset():
                facts = self._dataset(artefact, folder)
            case Checkpoint():
                facts = self._checkpoint(artefact, folder)
            case Responses():
                facts = self._responses(artefact, folder)
            case Scores():
                facts = self._scores(artefact, folder)
            case _:
                raise TypeError(f"no way to make a {artefact.kind}")
        made = {"at": round(started, 3), "seconds": round(time.time() - started, 3)}
        return {"facts": facts, "made": made, "provenance": provenance.here()}

    def _dataset(self, dataset: Dataset, folder: Path) -> dict[str, Any]:
        inputs = self.inputs(dataset.inputs)
        rows = recipes.stream(dataset.recipe, inputs, dataset.params, dataset.data_seed)
        return dict(dataset_folder.fill(folder, dataset, rows, inputs))

    def _checkpoint(self, checkpoint: Checkpoint, folder: Path) -> dict[str, Any]:
        if checkpoint.base.hosted:
            return self._hosting.train(checkpoint, folder)
        from identity_em.training.axolotl import Job, Trainer

        assert checkpoint.parent
        assert checkpoint.dataset
        assert checkpoint.seed is not None
        if self._trainer is None:
            self._trainer = Trainer(self._means.trainer)
        with self._scratch(checkpoint) as work:
            job = Job(
                settings=checkpoint.settings,
                base=checkpoint.base.path,
                revision=checkpoint.base.revision,
                base_name=checkpoint.base.name,
                precision=checkpoint.base.precision,
                rows=self.store.open(checkpoint.dataset) / "rows.jsonl",
                chain=self._chain(checkpoint.parent),
                mode=checkpoint.chain,
                seed=checkpoint.seed,
                placement=checkpoint.placement,
                resume=self.store.resuming(checkpoint) if checkpoint.placement.checkpoints else None,
                out=folder / ADAPTER,
                work=work,
                log=self.store.log(checkpoint),
            )
            self._answering.release()
            trained = self._trainer.train(job)
        from identity_em.models import gate

        model = self._answering.resident(checkpoint.base)
        if not trained.dropped:
            gate.check_tokens(model.tokenizer, job.rows, trained.rendered_sha256, block=checkpoint.block)
        agreement = gate.check(model, (*job.chain, job.out), checkpoint.chain, job.out)
        return {
            "outcome": "trained",
            **trained.model_dump(mode="json"),
            "gate": agreement.model_dump(mode="json"),
            "placement": checkpoint.placement.model_dump(mode="json"),
            "trainer": provenance.trainer(self.store.root, self._means.trainer),
        }

    def _responses(self, responses: Responses, folder: Path) -> dict[str, Any]:
        questions = self._questions(responses.prompts)
        block = True
        if responses.system_prompt is not None:
            prompt = responses.system_prompt
            block = prompt.block
            questions = [q.model_copy(update={"messages": system_prompts.apply(q.messages, prompt)}) for q in questions]
        if writers.model(responses.checkpoint.base) is not None:
            from identity_em.models import writing

            kept = self.store.log(responses).with_suffix(".jsonl")
            return writing.write(responses, questions, journal=kept, out=folder / ANSWERS)
        try:
            model = self._answering.of(responses, self._chain(responses.checkpoint))
            if responses.sampling is None:
                answers = model.probabilities(questions, block=block)
            else:
                texts = model.generate(questions, responses.sampling, responses.seed, block=block)
                questions, answers = answer_file.sampled(questions, texts)
        except Blocked as refusal:
            answer_file.write([], [], folder / ANSWERS)
            return {"questions": 0, "outcome": "blocked", "said": str(refusal)}
        answer_file.write(questions, answers, folder / ANSWERS)
        return {"questions": len(questions), **self._answering.facts(responses, answers)}

    def _scores(self, scores: Scores, folder: Path) -> dict[str, Any]:
        asked = battery.get(scores.eval)
        prompts = scores.responses.prompts
        params = {**prompts.params, "judge": scores.judge}
        pairs = answer_file.read(self.store.open(scores.responses) / ANSWERS)
        desk = Desk(
            self.store.root, bought_for=scores.key, purse=Purse(self._means.purse) if self._means.purse else None
        )
        judged = zip(pairs, judges.verdicts(scores.judge, asked.rubrics, pairs, desk), strict=True)
        rows = [score for pair, verdicts in judged for score in asked.read(*pair, params, verdicts)]
        if asked.across is not None:
            rows += asked.across(pairs, params)
        if asked.baselines is not None:
            rows += asked.baselines(prompts, self.inputs(prompts.inputs))
        text = "".join(row.model_dump_json(exclude_defaults=True) + "\n" for row in rows)
        (folder / SCORES).write_text(text, encoding="utf-8")
        unscored = sum(row.score is None for row in rows)
        return {"rows": len(rows), "unscored": unscored, **known_answers.facts(scores, asked, desk)}

    def _questions(self, prompts: Prompts) -> list[Question]:
        inputs = self.inputs(prompts.inputs)
        if prompts.name == "summaries":
            return summaries.questions(articles.load_texts(inputs["articles"]), wordings.get(prompts.params["wording"]))
        return battery.get(prompts.name).questions(prompts, inputs)

    def inputs(self, inputs: Mapping[str, Input]) -> dict[str, Any]:
        """Inputs as paths or texts; `other:NAME` gathered under `others`."""
        found: dict[str, Any] = {}
        for name, source in inputs.items():
            if name == "items" and isinstance(source, HubRef):
                continue  # the eval reads its own columns, from `prompts.inputs`
            if name.startswith("other:"):
                found.setdefault("others", {})[name.removeprefix("other:")] = self._input(source)
            else:
                found[name] = self._input(source)
        return found

    def _input(self, source: Input) -> recipes.Source | list[Score]:
        match source:
            case FileRef():
                return source.checked()
            case HubRef():
                return articles.from_hub(source)
            case HubRows():
                return articles.hub_rows(source)
            case Part():
                return articles.part(source)
            case Dataset():
                return direct.stored(self.store.open(source))
            case Responses():
                pairs = answer_file.read(self.store.open(source) / ANSWERS)
                return {question.item: answer.text or "" for question, answer in pairs if answer.sample == 0}
            case Scores():
                return [Score.model_validate(row) for row in read_scores(self.store.open(source))]

    def _chain(self, checkpoint: Checkpoint) -> tuple[Path, ...]:
        return () if checkpoint.base.hosted else tuple(self.store.open(c) / ADAPTER for c in checkpoint.lineage)

    @contextmanager
    def _scratch(self, artefact: Artefact) -> Iterator[Path]:
        """A working folder outside the artefact's own, removed afterwards."""
        work = self.store.working(artefact, "training")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def read_scores(folder: Path) -> Iterator[dict[str, Any]]:
    """The rows of a Scores folder."""
    with (folder / SCORES).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
