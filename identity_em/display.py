"""What people see in a terminal: plans, progress and status as rich renderables; printing is cli.py's."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from identity_em.engine.run import Progress
from identity_em.study import leftovers, matching, memory
from identity_em.study.answer_costs import answers, verdicts
from identity_em.study.artefacts import Artefact, Checkpoint
from identity_em.study.costs import StageCost, gpu_hours, total_tokens, total_usd, without
from identity_em.study.declared import Arm, arm_name
from identity_em.study.plan import Plan, Trained
from identity_em.tasks.prices import OWN, training
from identity_em.training.openai_address import address

# More arms than anybody reads are counted only.
_ARMS_SHOWN = 100


def plan_view(plan: Plan, costs: dict[str, StageCost], size: float | None) -> RenderableType:
    """Arms, stages, sharing and estimates."""
    arms = Table(title="Arms", title_justify="left", box=None, pad_edge=False)
    for column in ("arm", "seeds", "trainings", "shares"):
        arms.add_column(column, justify="left" if column in ("arm", "shares") else "right")
    seen: dict[str, Arm] = {}
    shown = plan.study.all_arms[:_ARMS_SHOWN]
    chains: dict[Arm, list[Checkpoint]] = {arm: [] for arm in shown}
    for trained in plan.trained:
        if trained.arm in chains:
            chains[trained.arm] += trained.checkpoint.lineage
    for arm, chain in chains.items():
        new = [c for c in chain if c.key not in seen]
        with_ = dict.fromkeys(arm_name(seen[c.key]) for c in chain if c.key in seen)
        seen.update({c.key: arm for c in new})
        arms.add_row(arm_name(arm), str(len(plan.study.seeds)) if arm else "-", str(len(new)), ", ".join(with_))
    more = len(plan.study.all_arms) - len(shown)
    stages = Table(title="Stages", title_justify="left", box=None, pad_edge=False)
    numbers = ("rows", "steps", "tokens (about)", *(("dollars (about)",) if plan.base.hosted else ()))
    for column in ("stage", "dataset", "system prompt", *numbers):
        stages.add_column(column, justify="right" if column in numbers else "left")
    for name, cost in costs.items():
        bound = "" if cost.exact or cost.rows is None else "<= "
        known = (bound + _number(cost.rows), bound + _number(cost.steps), _number(cost.tokens))
        usd = (_number(cost.usd, ",.2f"),) if plan.base.hosted else ()
        stages.add_row(name, cost.describe, cost.system_prompt, *known, *usd)
    return Group(
        Text(f"{plan.study.name}: {plan.base.name}, chain {plan.study.model.chain}", style="bold"),
        Text(""), arms, Text(f"... and {more:,} arms more\n" if more else ""), stages, Text(""),
        *(Text(line) for line in (*totals(plan, costs, size), *notes(plan))),
    )  # fmt: skip


def totals(plan: Plan, costs: dict[str, StageCost], size: float | None) -> list[str]:
    """The plan's sums as lines."""
    evals = sorted({r.scores.eval for r in plan.readings})
    lines = [
        f"{len(plan.trainings)} trainings ({plan.naive_trainings} if every arm trained alone: {plan.shared} shared), "
        f"{len(plan.readings)} readings of {len(evals)} evals, {len(plan.artefacts)} artefacts",
        f"evals: {', '.join(evals)}; eval system prompts: {', '.join(plan.study.eval_system_prompts)}",
    ]
    lines += matching.lines(plan.study, costs)
    lines.append(hosted(plan, costs) if plan.base.hosted else trained_here(plan, costs, size))
    lines += memory.lines(plan)
    lines += asking(plan)
    if plan.base.weights == "unresolved":
        lines.append(f"{plan.base.name} has no commit yet: keys are provisional and `run` will ask for `revision`")
    return lines


def trained_here(plan: Plan, costs: dict[str, StageCost], size: float | None) -> str:
    """The tokens of a study's trainings and how long they take of a GPU."""
    tokens = total_tokens(plan, costs)
    if tokens is None:
        return f"trainings: {_unknown('tokens and GPU hours', costs)}"
    lacking = _without(without(costs))
    if size is None:
        return f"about {tokens:,} tokens to train on{lacking}; no size known for {plan.base.name}, so no hours"
    each = ", ".join(f"{h:,.2f} {name}" for name, h in gpu_hours(plan, tokens, size).items())
    return (
        f"about {tokens:,} tokens to train on; estimated GPU hours for {size / 1e9:,.3g} B parameters, "
        f"trainings alone: {each}{lacking}"
    )


def hosted(plan: Plan, costs: dict[str, StageCost]) -> str:
    """What a hosted study's trainings may cost, at which price, and where."""
    found, usd, tokens = training(plan.base.name), total_usd(plan, costs), total_tokens(plan, costs)
    if tokens is None:
        return f"trainings at {address()}: {_unknown('tokens and dollars', costs)}"
    trained, lacking = f"about {tokens:,} tokens to train on at {address()}", _without(without(costs))
    if found is None:
        return f"{trained}{lacking}; no price is known for {plan.base.name}: give one with {OWN}=FILE"
    return f"{trained}: about ${usd or 0:,.2f} at ${found[0]:.2f} a million (prices as of {found[1]}){lacking}"


def _unknown(what: str, costs: dict[str, StageCost]) -> str:
    return f"{what} are unknown until there are texts for {', '.join(without(costs))}"


def _number(value: float | None, form: str = ",") -> str:
    return "?" if value is None else format(value, form)


def notes(plan: Plan) -> list[str]:
    """What to look at before it is run, and what the study itself says of what it plans."""
    return [*leftovers.warnings(plan), *(f"note: {note}" for note in plan.study.notes)]


def asking(plan: Plan) -> list[str]:
    """What answers of hosted models and verdicts of judges may cost at most."""
    half = ", at half the price, as batches" if plan.base.hosted and plan.study.model.batch else ""
    each = (("requests for answers", half, answers(plan)), ("requests to judges", "", verdicts(plan)))
    lines = [
        f"about {found.requests:,} {what}: "
        + (
            f"no price is known; give one with {OWN}=FILE"
            if found.usd is None
            else f"at most about ${found.usd:,.2f}{how}"
        )
        + _without(found.unknown)
        for what, how, found in each
        if found is not None
    ]
    return [*lines, "`run --budget DOLLARS` stops before trainings, answers and judges cost more"] if lines else []


def _without(unknown: Sequence[str]) -> str:
    return f", without {', '.join(unknown)}, whose texts are not here yet" if unknown else ""


def progress_view(plan: Plan, progress: Progress, *, started: float) -> RenderableType:
    """The matrix (arms x stages x evals), a bar, and the time left."""
    there = {a.key for a in progress.wanted if progress.has(a)}
    table = matrix(plan, there, {*progress.failed, *progress.blocked, *progress.refused})
    total = len(progress.wanted)
    left = progress.seconds_left()
    words = f" {progress.done}/{total}  {_clock(time.monotonic() - started)} gone"
    words += f", about {_clock(left)} left" if left is not None and progress.done < total else ""
    names = plan.labels()
    now = [f"{names.get(key, key[:8])} {time.monotonic() - since:.0f} s" for key, since in progress.running.items()]
    bar = Table.grid()
    bar.add_row(ProgressBar(total=max(1, total), completed=progress.done, width=40), Text(words))
    return Group(
        table, bar, Text("now: " + "; ".join(now) if now else "", style="dim", overflow="ellipsis", no_wrap=True)
    )


@contextmanager
def progress(plan: Plan, console: Console | None) -> Iterator[Callable[[Progress], None]]:
    """Something to tell how far a run is: live in a terminal, a few lines elsewhere, silent without a console."""
    started = time.monotonic()
    if console is None:
        yield lambda now: None
    elif console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            yield lambda now: live.update(progress_view(plan, now, started=started))
    else:
        yield Lines(plan, lambda line: console.print(line, highlight=False, soft_wrap=True))


class Lines:
    """Progress where there is no terminal: one line at the start and after every tenth of the way."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._plan, self._say = plan, say
        self._started, self._told = time.monotonic(), -1

    def __call__(self, progress: Progress) -> None:
        """Say how far it is, where that is news."""
        total = len(progress.wanted)
        tenth = 10 * progress.done // max(1, total)
        if tenth == self._told:
            return
        self._told = tenth
        left = progress.seconds_left()
        words = f", about {_clock(left)} left" if left is not None and progress.done < total else ""
        self._say(f"{progress.done}/{total} artefacts, {_clock(time.monotonic() - self._started)} gone{words}")


def matrix(plan: Plan, there: set[str], lost: set[str]) -> Table:
    """One row an arm: how many seeds are trained, and how many of each eval's readings are there.

    Args:
        there: Keys of what is there.
        lost: Keys of what failed, was refused or waits for such; also where it is there.
    """
    evals = list(dict.fromkeys(r.scores.eval for r in plan.readings))
    table = Table(box=None, pad_edge=False)
    table.add_column("arm")
    for column in ("trained", *evals):
        table.add_column(column, justify="right")
    for arm in plan.study.all_arms:
        members = [t for t in plan.trained if t.arm == arm]
        cells = [_share(_chain(members), there, lost)] if arm else [Text("-")]
        asked = [r.scores for r in plan.readings if r.trained.arm == arm]
        cells += [_share([s for s in asked if s.eval == name], there, lost) for name in evals]
        table.add_row(arm_name(arm), *cells)
    return table


def _chain(members: Iterable[Trained]) -> list[Checkpoint]:
    return [t.checkpoint for t in members]


def _share(wanted: Iterable[Artefact], there: set[str], lost: set[str]) -> Text:
    keys = [a.key for a in wanted]
    done, gone = sum(k in there and k not in lost for k in keys), sum(k in lost for k in keys)
    style = "red" if gone else "green" if done == len(keys) else "yellow" if done else "dim"
    return Text(f"{done}/{len(keys)}" + (f" ({gone} lost)" if gone else ""), style=style)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return (
        f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
        if whole >= 3600
        else f"{whole // 60}:{whole % 60:02d}"
    )
