"""An audit as people read it: rich renderables; printing is cli.py's."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from identity_em.interventions.audit import Audit, Balance
from identity_em.interventions.shortcuts import Share, Shortcut


def tables(
    found: Sequence[Audit], waiting: Sequence[str] = (), contrasts: Sequence[str] = ()
) -> Iterator[RenderableType]:
    """For each audit: a heading, its warnings, balance, shortcuts and leaks; then contrasts, and stages that wait."""
    for audit in found:
        yield Text(f"\n{audit.name}: {audit.rows:,} rows", style="bold")
        yield from (Text(f"! {line}", style="yellow") for line in audit.warnings)
        yield Text("\n".join(_balance(audit.balance)))
        if audit.shortcuts:
            yield _shortcuts(audit.shortcuts)
        yield from (Text(f"against {leak.eval}: {leak.says}") for leak in audit.leaks)
        yield from (Text(f"  row {hit.row} ({hit.side}, {hit.score:.0f}): {hit.text[:100]}") for leak in audit.leaks
                    for hit in leak.hits)  # fmt: skip
    yield from (Text(line) for line in contrasts)
    if waiting:
        yield Text(f"\nnot audited, their rows are not there yet: {', '.join(waiting)}")


def _balance(balance: Balance) -> list[str]:
    told = [f"answers: {', '.join(f'{label!r} {n}' for label, n in balance.labels.items())}"] if balance.labels else []
    word, share = balance.first_token
    told.append(
        f"mean {balance.answer_words:.1f} words an answer, {balance.distinct_answers:.0%} of them distinct, "
        f"{share:.0%} begin with {word!r}"
    )
    if balance.own_first is not None:
        told.append(f"own summary first in {balance.own_first:.3f} of the rows")
    if balance.label_own is not None:
        told.append(f"label is the own summary in {_share(balance.label_own)}")
    return told


def _shortcuts(found: Sequence[Shortcut]) -> Table:
    table = Table(title="Right without a model", title_justify="left", box=None, pad_edge=False)
    for column in ("shortcut", "kind", "predicts", "right (95 % interval, over articles)"):
        table.add_column(column)
    for shortcut in found:
        style = "bold" if shortcut.right.low > 0.5 else "dim"
        table.add_row(shortcut.name, shortcut.kind, shortcut.predicts, _share(shortcut.right), style=style)
    return table


def _share(share: Share) -> str:
    return f"{share.share:.3f} ({share.low:.3f} to {share.high:.3f}, n {share.n})"
