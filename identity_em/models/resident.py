"""A base model that stays in memory and answers as any of its checkpoints."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from identity_em.chat import prompts_ids
from identity_em.errors import InputError
from identity_em.models import activations, generation
from identity_em.models.adapters import Adapters, unfit
from identity_em.models.answers import FALLBACK, OPTION_MASS_GATE
from identity_em.models.batches import Room, shared_batches
from identity_em.models.forward import begin
from identity_em.models.loading import load_model, load_tokenizer, release_memory, turn_ends
from identity_em.models.numbers import Parts, parts
from identity_em.models.options import Forms, OptionTokens, option_probabilities
from identity_em.models.spelled import Spelled, spelled
from identity_em.records import Answer, Question, Sampling
from identity_em.study.artefacts import BaseModelRef
from identity_em.study.memory import HELD_TOKENS
from identity_em.training import lora

# By device: copies of the base held at once. One that fills a GPU leaves no room for a second.
_COPIES = {"cpu": 2}
# By device: enough to fill the arithmetic units; few enough to stay in a CPU's cache and a GPU's memory.
_ROOM = {"cpu": Room(read=2048, held=16384), "cuda": Room(read=16384, held=HELD_TOKENS)}


class Resident:
    """One base, many adapters: exact option probabilities, generation, logits.

    The attribute `tokenizer` is the base's.

    Args:
        base: What to load; `path` is a folder or a hub id.
        device: "cpu", "cuda:1", or "cuda": several GPUs where the base needs them; by default "cuda" where there is it.
        keep: Most adapters held in memory at once.

    Raises:
        InputError: The base has no tokenizer; its weights are read when they are first needed.
    """

    def __init__(self, base: BaseModelRef, *, device: str | None = None, keep: int = 8) -> None:
        self.base = base
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.tokenizer = load_tokenizer(base)
        self._keep = keep
        self._copies: OrderedDict[tuple[Path, ...], Adapters] = OrderedDict()
        self._options = OptionTokens(self.tokenizer)
        self._several: dict[tuple[str, ...], Parts | Spelled | None] = {}
        self._stops = turn_ends(self.tokenizer)

    def use(self, chain: Sequence[Path], mode: Literal["live", "merge"] = "live") -> None:
        """Answer from now on as a chain of adapter folders, oldest first; as the base for an empty chain.

        Under `live` the chain is one composed adapter on the original base. Under `merge` all but the last are
        rounded into a copy of the base, as they were when the last was trained on it.

        Raises:
            DataError: A folder is no LoRA adapter of this base.
        """
        folders = tuple(Path(folder) for folder in chain)
        folded = len(folders) - 1 if mode == "merge" and folders else 0
        self._take(folders[:folded])
        self._active.use(folders[folded:])

    @torch.inference_mode()
    def probabilities(self, questions: Sequence[Question], *, block: bool = True) -> list[Answer]:
        """The exact probability of each option as the next token, in the order of the questions.

        Where the options hold too little of the mass, the answer also carries a greedily generated text.

        Args:
            block: False renders the messages with no system block at all.

        Raises:
            InputError: A question has no options, or its prompt is longer than the model takes.
        """
        prompts = self._prompts(questions, block=block)
        several = {row: steps for row, question in enumerate(questions) if (steps := self._steps(question))}
        forms = [several[row].first if row in several else self._forms(q) for row, q in enumerate(questions)]
        answers = self._next(prompts, forms)
        # What begins alike is asked for a second time, behind what it begins with.
        behind = [(row, start, form) for row, steps in several.items() for start, form in steps.then]
        found = self._next([[*prompts[row], *start] for row, start, _ in behind], [form for _, _, form in behind])
        followed = iter(found[place] for place in range(len(behind)))
        for row, steps in several.items():
            answers[row] = steps.join(answers[row], list(islice(followed, len(steps.then))))
        self._fall_back(answers, questions, block=block)
        return [answers[row] for row in range(len(questions))]

    def _next(self, prompts: Sequence[list[int]], forms: Sequence[Forms]) -> dict[int, Answer]:
        """The probabilities of each prompt's forms as its next token, by the prompt's place."""
        # Read back only when all was asked, so that a GPU never waits for the next batch to be put together.
        found = [
            (rows, option_probabilities(begin(self._active.model, batch).logits, [forms[row] for row in rows]))
            for batch in shared_batches(prompts, room=self._room)
            for rows in (batch.rests.rows,)
        ]
        return {
            row: _answer(shares[: len(forms[row])])
            for rows, given in found
            for row, shares in zip(rows, given.tolist(), strict=True)
        }

    @torch.inference_mode()
    def generate(
        self, questions: Sequence[Question], sampling: Sampling, seed: int, *, block: bool = True
    ) -> list[list[str]]:
        """Generated texts, question by sample: the same questions, setting and seed give the same texts.

        Raises:
            InputError: A prompt and its answer are longer than the model takes.
        """
        tokens = self.tokens(questions, sampling, seed, block=block)
        return [[self.text(ids) for ids in samples] for samples in tokens]

    @torch.inference_mode()
    def tokens(
        self, questions: Sequence[Question], sampling: Sampling, seed: int, *, block: bool = True, first: int = 0
    ) -> list[list[list[int]]]:
        """The tokens of generated texts, question by sample, without the one that ends an answer.

        Args:
            first: Index of the first sample, so that later ones can be asked for alone.

        Raises:
            InputError: A prompt and its answer are longer than the model takes.
        """
        prompts, steps = self._prompts(questions, block=block, extra=sampling.max_new_tokens), sampling.max_new_tokens
        found: dict[int, list[list[int]]] = {}
        room = replace(self._room, held=self._room.held // sampling.n)
        for batch in shared_batches(prompts, room=room, extra=steps):
            rows = batch.rests.rows
            uniform = torch.stack(
                [
                    generation.draws(questions[row], sample=sample, seed=seed, steps=steps)
                    for row in rows
                    for sample in range(first, first + sampling.n)
                ]
            )
            new = iter(generation.generate(self._active.model, batch, sampling, uniform, stops=self._stops))
            found |= {row: list(islice(new, sampling.n)) for row in rows}
        return [found[row] for row in range(len(questions))]

    @torch.inference_mode()
    def logits(self, ids: Tensor, positions: Sequence[int]) -> Tensor:
        """The logits after the tokens at `positions`.

        Args:
            ids: Token ids without padding, shape (B, L).
            positions: P places from 0 to L - 1.

        Returns:
            fp32 on the CPU, shape (B, P, V).
        """
        first = min(positions)
        # A number and no places: the last layer may be on another GPU than they.
        out = self._active.model(input_ids=ids.to(self.device), use_cache=False, logits_to_keep=ids.shape[1] - first)
        logits: Tensor = out.logits[:, torch.tensor(list(positions)) - first].float().cpu()
        return logits

    def activations(
        self, questions: Sequence[Question], out: Path, *, layers: Sequence[int] | None = None, block: bool = True
    ) -> Path:
        """Residual activations of each prompt's last token, streamed to `out` (see `activations.collect`).

        Raises:
            InputError: There is no such layer, or a prompt is longer than the model takes.
        """
        prompts = self._prompts(questions, block=block)
        return activations.collect(self._active.model, prompts, layers, out, tokens=self._room.read)

    @property
    def _room(self) -> Room:
        return _ROOM.get(self.device.type, _ROOM["cuda"])

    @property
    def _active(self) -> Adapters:
        """The copy of the base that answers now; the base itself until `use` says otherwise."""
        if not self._copies:
            self._take(())
        return self._copies[next(reversed(self._copies))]

    def _take(self, folded: tuple[Path, ...]) -> None:
        """Answer from the copy of the base with these stages rounded into it; another one makes room for it first."""
        if folded not in self._copies:
            while len(self._copies) >= _COPIES.get(self.device.type, 1):
                self._copies.popitem(last=False)
                release_memory()
            model = load_model(self.base, self.device)
            try:
                lora.fold(model, folded)
            except (ValueError, OSError) as error:
                raise unfit(folded, error) from error
            self._copies[folded] = Adapters(model, keep=self._keep)
        self._copies.move_to_end(folded)

    def _prompts(self, questions: Sequence[Question], *, block: bool, extra: int = 0) -> list[list[int]]:
        prompts = prompts_ids(self.tokenizer, [question.messages for question in questions], block=block)
        room = self._active.model.config.max_position_embeddings - extra
        for question, ids in zip(questions, prompts, strict=True):
            if len(ids) > room:
                raise InputError(
                    found=f"item {question.item!r} of {len(ids)} tokens",
                    wanted=f"at most {room} before the answer",
                    do="drop the item or choose a base with more positions",
                )
        return prompts

    def _forms(self, question: Question) -> Forms:
        if len(question.options) < 2:
            raise InputError(
                found=f"item {question.item!r} without options", wanted="a closed question", do="generate instead"
            )
        return self._options.forms(question.options) or ()

    def _steps(self, question: Question) -> Parts | Spelled | None:
        """How options are asked for that the next token alone does not tell apart; None where it does."""
        key = question.options
        if key not in self._several:
            self._several[key] = parts(self._options, key) or spelled(self._options, key)
        return self._several[key]

    def _fall_back(self, answers: dict[int, Answer], questions: Sequence[Question], *, block: bool) -> None:
        """Give a text to the answers whose option mass is below the gate."""
        rows = [row for row in sorted(answers) if (answers[row].option_mass or 0.0) < OPTION_MASS_GATE]
        texts = self.generate([questions[row] for row in rows], FALLBACK, 0, block=block)
        for row, (text,) in zip(rows, texts, strict=True):
            answers[row] = answers[row].model_copy(update={"text": text})

    def text(self, ids: Sequence[int]) -> str:
        """Tokens as text, special ones left out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _answer(shares: list[float]) -> Answer:
    """The answer of these probabilities; no mass where the options cannot be told apart."""
    return Answer(probabilities=tuple(shares), option_mass=min(1.0, sum(shares)))
