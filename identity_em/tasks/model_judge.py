"""A judge that is a model: any name that Inspect knows, asked in bulk, at temperature 0."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import anyio
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import ChatMessageUser, GenerateConfig, Model, ModelOutput, get_model

from identity_em.errors import BudgetReached, InputError, JudgeFailed
from identity_em.records import Answer, Question, Rubric, Verdict
from identity_em.tasks import grading
from identity_em.tasks.desk import Call, Desk, identity
from identity_em.tasks.prices import OWN, Price, price

if TYPE_CHECKING:
    from inspect_ai.model import Logprob

_TOP = 20
# A storm of 429s and 500s is sat out for about a minute and a half (waits of 3, 6, 12, 24 and 48 seconds).
_RETRIES = 5
_AT_ONCE = 32
# Characters a token of a judge's prompt has at least, so that a cost set apart is never too small.
_CHARS_PER_TOKEN = 2

SETTING = GenerateConfig(
    temperature=0.0,
    max_tokens=grading.MOST_TOKENS,
    logprobs=True,
    top_logprobs=_TOP,
    max_retries=_RETRIES,
    attempt_timeout=120,
)


class ModelJudge:
    """One judge at its desk.

    Raises:
        InputError: There is no such model, or a budget is given and its price is not known.
    """

    def __init__(self, name: str, desk: Desk) -> None:
        self.name, self._desk = name, desk
        self._model = self._fresh()
        known = price(name)
        self._price: Price | None = known[0] if known else None
        if desk.purse is not None and self._price is None:
            raise InputError(
                found=f"a budget, and no known price of the judge {name!r}", wanted="its price",
                do=f"write it into a file named by {OWN}",
            )  # fmt: skip

    def __call__(self, rubric: Rubric, pairs: Sequence[tuple[Question, Answer]]) -> list[Verdict]:
        """A verdict on every answer, each distinct one asked for once.

        Raises:
            JudgeFailed: It could not be asked; verdicts given so far are kept.
        """
        prompts = [grading.asked(rubric, question, answer) for question, answer in pairs]
        found = {prompt: self._desk.known(self.name, rubric, prompt) for prompt in dict.fromkeys(prompts)}
        missing = [prompt for prompt, verdict in found.items() if verdict is None]
        if missing:
            anyio.run(self._ask_all, rubric, missing)
        verdicts = [found[prompt] or self._desk.known(self.name, rubric, prompt) for prompt in prompts]
        return [verdict for verdict in verdicts if verdict is not None]

    def _fresh(self) -> Model:
        """The model with a client of its own: connections die with their event loop, and each asking has its loop."""
        # A checkpoint is looked for in the store that its verdicts are kept in.
        ours = self.name.startswith("identity_em/") and self._desk.root is not None
        where: dict[str, Any] = {"store": str(self._desk.root)} if ours else {}
        try:
            return get_model(self.name, config=SETTING, memoize=False, **where)
        except (PrerequisiteError, ValueError, ImportError) as error:
            said = str(getattr(error, "message", error))
            raise InputError(
                found=f"the judge {self.name!r}, which cannot be had ({said})",
                wanted="a model that Inspect knows, or pocket", do="check its name, its key and its package",
            ) from error  # fmt: skip

    async def _ask_all(self, rubric: Rubric, prompts: Sequence[str]) -> None:
        """Ask many at once; after an error nothing more is asked, and what is on its way is kept."""
        left, errors = deque(prompts), list[JudgeFailed]()
        self._model = self._fresh()
        async with self._model, anyio.create_task_group() as group:
            for _ in range(min(_AT_ONCE, len(prompts))):
                group.start_soon(self._work, rubric, left, errors)
        failed = [error for error in errors if type(error) is JudgeFailed]
        if failed or (errors and left):
            raise (failed or errors)[-1]

    async def _work(self, rubric: Rubric, left: deque[str], errors: list[JudgeFailed]) -> None:
        while left and not any(type(error) is JudgeFailed for error in errors):
            prompt = left.popleft()
            try:
                await self._ask(rubric, prompt)
            except BudgetReached as error:
                # Others may still be within it, once those on their way have cost less than was set apart.
                left.append(prompt)
                errors.append(error)
                return
            except JudgeFailed as error:
                errors.append(error)

    async def _ask(self, rubric: Rubric, prompt: str) -> None:
        apart = self._price.of(len(prompt) // _CHARS_PER_TOKEN, grading.MOST_TOKENS) if self._price else 0.0
        purse = self._desk.purse
        if purse is not None:
            purse.take(apart)
        cost = 0.0
        try:
            call = await self._call(rubric, prompt)
            cost = call.usd or 0.0
            self._desk.keep(self.name, rubric, call)
        finally:
            if purse is not None:
                purse.settle(apart, cost)

    async def _call(self, rubric: Rubric, prompt: str) -> Call:
        try:
            output = await self._model.generate([ChatMessageUser(content=prompt)])
        except Exception as raised:
            error = _last(raised)
            line = " ".join(f"{type(error).__name__}: {getattr(error, 'message', error)}".split())[:300]
            raise JudgeFailed(
                f"the judge {self.name} could not be asked ({line}); what it said before is kept, run again to go on"
            ) from raised
        used = output.usage
        tokens = (_whole(used.input_tokens, used.input_tokens_cache_read), used.output_tokens) if used else (0, 0)
        return Call(
            id=identity(self.name, rubric, prompt),
            verdict=verdict(rubric, output),
            bought_for=self._desk.bought_for,
            served_as=output.model,
            input_tokens=tokens[0],
            output_tokens=tokens[1],
            usd=self._price.of(*tokens) if self._price and used else None,
        )


async def grade(model: Model, rubric: Rubric, question: Question, answer: Answer) -> Verdict:
    """One verdict of a model that Inspect runs itself; its errors are Inspect's to retry and to tell."""
    output = await model.generate([ChatMessageUser(content=grading.asked(rubric, question, answer))], config=SETTING)
    return verdict(rubric, output)


def verdict(rubric: Rubric, output: ModelOutput) -> Verdict:
    """What a judge's answer says; a refusal is no score."""
    if output.error or output.empty:
        return Verdict(score=None, unscored="the judge gave no answer", text=output.error or "")
    if output.stop_reason == "content_filter":
        return Verdict(score=None, unscored="the judge refused", text=output.completion)
    logs = output.choices[0].logprobs
    return grading.read(rubric, output.completion, _first(logs.content) if logs else None)


def _last(error: Exception) -> BaseException:
    """What the last of several tries ended with, which the error of Inspect's retrier does not say."""
    tried = getattr(error, "last_attempt", None)
    return (tried.exception() if tried else None) or error


def _first(content: Sequence[Logprob]) -> list[tuple[str, float]] | None:
    likely = content[0].top_logprobs if content else None
    return [(one.token, one.logprob) for one in likely] if likely else None


def _whole(fresh: int, cached: int | None) -> int:
    return fresh + (cached or 0)
