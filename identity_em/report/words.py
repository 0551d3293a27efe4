"""How numbers and arms are written, the same in every output."""

from identity_em.analysis.contrasts import Difference
from identity_em.analysis.meta import Meta, Stages
from identity_em.analysis.readings import Stratum
from identity_em.analysis.stats import Estimate

ABSENT = "–"
HARD = "\u00a0"  # a space that does not break


def arm(stages: Stages) -> str:
    """An arm with typographic arrows."""
    return " → ".join(stages) if stages else "base"


def author(name: str | None) -> str:
    """Who wrote a summary, an arm's name with typographic arrows."""
    return (name or "").replace(" -> ", " → ")


def number(value: float | None) -> str:
    """Two decimals, with a true minus sign."""
    return ABSENT if value is None else minus(f"{value:.2f}".replace("-0.00", "0.00"))


def difference(value: float | None) -> str:
    """Two decimals with a sign."""
    if value is None:
        return ABSENT
    return minus(f"{value:+.2f}") if abs(value) >= 0.005 else "0.00"


def small(value: float | None) -> str:
    """Three decimals."""
    return ABSENT if value is None else minus(f"{value:.3f}")


def p(value: float | None) -> str:
    """A probability of chance, to three decimals and never as nought."""
    return ABSENT if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def percent(share: float) -> str:
    """A share in per cent; nought is "0 %", less than a tenth of a per cent says so."""
    return "0 %" if share == 0 else "< 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


def count(value: int | None) -> str:
    """A whole number in groups of three."""
    return ABSENT if value is None else f"{value:,}".replace(",", "\u202f")


def span(estimate: Estimate, *, sign: bool = False) -> str:
    """The 95 % interval in brackets."""
    write = difference if sign else number
    return ABSENT if estimate.low is None else f"[{write(estimate.low)},{HARD}{write(estimate.high)}]"


def verdict(found: Difference | None) -> str:
    """A difference's verdict, with true minus signs; a dash where none was declared."""
    return ABSENT if found is None else minus(found.words).replace(", ", f",{HARD}")


def minus(text: str) -> str:
    """ASCII minus signs before a digit as true ones."""
    return "".join("−" if c == "-" and text[i + 1 : i + 2].isdigit() else c for i, c in enumerate(text))


def title(meta: Meta, stratum: Stratum) -> str:
    """A reading's title: metric, version where it is not the eval's first, dimension, whose summaries, the judge."""
    known = meta.metric(stratum.eval, stratum.metric).title
    whose = {"": "", "base": "base summaries", "current": "current summaries"}.get(
        stratum.author or "", f"summaries by {stratum.author}"
    )
    against = f"{whose} v {stratum.comparator}" if whose and stratum.comparator else whose or stratum.comparator
    judge = f"judged by {stratum.judge}" if stratum.judge else ""
    first = meta.version(stratum.eval)
    version = f"version {stratum.version}" if first and stratum.version != first else ""
    return ", ".join(part for part in (known, version, stratum.dimension, against, judge) if part)


def better(meta: Meta, stratum: Stratum) -> str:
    """ "lower is better", or nothing."""
    side = meta.metric(stratum.eval, stratum.metric).better
    return "" if side == "none" else f"{side} is better"
