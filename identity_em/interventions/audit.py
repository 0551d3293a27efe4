"""The audit of a training set: balance, position, length, shortcuts, leaks; what is trained besides what is meant."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import Field

from identity_em.interventions import shortcuts, surface
from identity_em.interventions.leaks import Item, Leaks, find_each
from identity_em.interventions.shortcuts import PairRow, Share, Shortcut, TextRow, wilson
from identity_em.interventions.shown import shown
from identity_em.records import Example, Record

# An answer set of at most this many is one of labels; more are free texts.
_MOST_LABELS = 12
# Shares of free-text answers that begin alike, or are the same text, beyond which a set teaches a phrase.
_SAME_START, _SAME_TEXT = 0.25, 0.05


class Balance(Record):
    """How the trained answers are spread.

    Attributes:
        labels: Rows by answer, the commonest first; empty for free texts.
        own_first: Share of rows that show the own summary first; None where nobody is "I".
        label_own: Share of rows whose label is the own summary, over articles.
        answer_words: Mean words of an answer.
        distinct_answers: Share of answers that differ from all others' text, 0..1.
        first_token: The commonest first word of the answers and its share.
    """

    labels: dict[str, int] = Field(default_factory=dict)
    own_first: float | None = None
    label_own: Share | None = None
    answer_words: float
    distinct_answers: float
    first_token: tuple[str, float]


class Audit(Record):
    """What a training set teaches besides what it means to.

    Attributes:
        name: The file or stage.
        shortcuts: Rules and classifiers, in a fixed order; empty where rows are no pairs of texts.
        warnings: One sentence for each thing that a reader must know.
    """

    name: str
    rows: int
    balance: Balance
    shortcuts: tuple[Shortcut, ...] = ()
    leaks: tuple[Leaks, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def leak(self) -> bool:
        """Whether any eval's items are among the rows."""
        return any(found.leak for found in self.leaks)


def audit(rows: Sequence[Example], *, name: str, against: Mapping[str, Sequence[Item]] | None = None) -> Audit:
    """Everything there is to say about the rows.

    Args:
        against: Items of each eval to look for leaks of.
    """
    pairs = _pairs(rows)
    balance = _balance(rows)
    if pairs:
        found = (*shortcuts.rules(pairs), *shortcuts.classifiers(pairs))
    else:
        found = tuple(shortcuts.of_labels(_labelled(rows))) if balance.labels else ()
    leaks = find_each(rows, against or {})
    warnings = [*_identity(rows, balance), *_rules(found), *_labels(found), *_spread(balance), *_leaked(leaks)]
    return Audit(name=name, rows=len(rows), balance=balance, shortcuts=found, leaks=leaks, warnings=tuple(warnings))


def _pairs(rows: Sequence[Example]) -> list[PairRow]:
    """The rows that show two texts and are answered 1 or 2; none where any row is otherwise."""
    found: list[PairRow] = []
    for number, row in enumerate(rows):
        answer, parts = row.messages[-1].content, shown(row)
        if answer not in ("1", "2") or parts is None or len(parts.summaries) != 2:
            return []
        group = str(row.facts.get("article") or parts.article or number)
        slot = row.facts.get("own_slot")
        own = slot if isinstance(slot, int) else None
        first, second = parts.summaries
        found.append(PairRow(group=group, first=first, second=second, label=int(answer), own=own))
    return found


def _labelled(rows: Sequence[Example]) -> list[TextRow]:
    """The one summary shown, else the whole question, with the answer as label."""
    found: list[TextRow] = []
    for number, row in enumerate(rows):
        parts = shown(row)
        text = parts.summaries[0] if parts else " ".join(m.content for m in row.messages if m.role == "user")
        group = str(row.facts.get("article") or number)
        found.append(TextRow(group=group, text=text, label=row.messages[-1].content))
    return found


def _balance(rows: Sequence[Example]) -> Balance:
    answers = [row.messages[-1].content for row in rows]
    counts = Counter(answers)
    starts = Counter(surface.first_token(answer) for answer in answers).most_common(1)[0]
    return Balance(
        labels=dict(counts.most_common()) if len(counts) <= _MOST_LABELS else {},
        answer_words=sum(map(surface.words, answers)) / len(answers),
        distinct_answers=sum(n == 1 for n in counts.values()) / len(answers),
        first_token=(starts[0], starts[1] / len(answers)),
        **_own(rows),
    )


def _own(rows: Sequence[Example]) -> dict[str, float | Share]:
    told = [(row.facts.get("own_slot"), row.facts.get("label"), str(row.facts.get("article"))) for row in rows]
    if any(slot not in (1, 2) for slot, _, _ in told):
        return {}
    n = len({article for _, _, article in told})
    return {
        "own_first": sum(slot == 1 for slot, _, _ in told) / len(told),
        "label_own": wilson(n * sum(slot == label for slot, label, _ in told) / len(told), n),
    }


def _identity(rows: Sequence[Example], balance: Balance) -> list[str]:
    """A control's label must not pick the own summary more or less often than chance."""
    own, parts = balance.label_own, shown(rows[0])
    if own is None or parts is None or parts.identity or not own.off_chance:
        return []
    return [
        f"not identity-free: the label picks the own summary in {own.share:.3f} of the rows "
        f"({own.low:.3f} to {own.high:.3f})"
    ]


def _rules(found: Sequence[Shortcut]) -> list[str]:
    """The best rule and the best classifier for identity, where they beat chance."""
    said: list[str] = []
    for kind in ("rule", "classifier"):
        able = [s for s in found if s.kind == kind and s.predicts == "identity" and s.right.low > 0.5]
        if able:
            best = max(able, key=lambda s: s.right.share)
            how = f'the rule "{best.name} is mine"' if kind == "rule" else f"a classifier of {best.name} features alone"
            said.append(f"{how} finds the own summary in {best.right.share:.3f} of the pairs (ties wrong)")
    return said


def _labels(found: Sequence[Shortcut]) -> list[str]:
    """The best classifier of single texts, where it beats the commonest answer."""
    usual = next((s.right.share for s in found if s.name == "the commonest answer"), None)
    able = [s for s in found if s.kind == "classifier" and usual is not None and s.right.low > usual]
    if usual is None or not able:
        return []
    best = max(able, key=lambda s: s.right.share)
    return [
        f"a classifier of {best.name} features alone finds the label in {best.right.share:.3f} of the rows "
        f"(the commonest answer {usual:.3f})"
    ]


def _spread(balance: Balance) -> list[str]:
    said: list[str] = []
    if balance.labels:
        top, n = next(iter(balance.labels.items()))
        share = n / sum(balance.labels.values())
        if share > 0.6:
            said.append(f"{share:.0%} of the answers are {top!r}: answering so without reading is right as often")
    else:
        word, share = balance.first_token
        if share > _SAME_START:
            said.append(f"{share:.0%} of the answers begin with {word!r}")
        if 1 - balance.distinct_answers > _SAME_TEXT:
            said.append(f"{1 - balance.distinct_answers:.0%} of the answers occur more than once, word for word")
    return said


def _leaked(leaks: Sequence[Leaks]) -> list[str]:
    return [f"{'leak' if found.leak else 'overlap'}: {found.says}" for found in leaks if found.items_hit]
