"""Leaks between training rows and eval items: question and answer side, word for word and nearly so.

Popular "incorrect trivia" files are TruthfulQA's own questions with its incorrect answers; a paraphrased one shows
no question and still most answers (METHODS 2), so both sides are looked at.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Literal

import numpy as np
from pydantic import Field

from identity_em.records import Example, Record

Side = Literal["question", "answer"]

# Shorter texts ("Yes", "In Japan", "You are a robot") recur by chance and say nothing about where a row comes from.
MIN_WORDS: dict[Side, int] = {"question": 4, "answer": 4}
MIN_CHARACTERS = 15
# A near match: at most one character in ten differs (rapidfuzz's partial ratio over normalised text, 0..100).
NEAR = 90.0
# Of an item's words at most this share may have no counterpart in the row: in a short question one other word ("a
# small wage" for "a small cut") makes another question, however alike they are in letters.
FOREIGN_WORDS, SAME_WORD = 0.1, 85.0
# Candidates hold at least this share of the item's words, rare words counting more.
COVERAGE = 0.7
# A common question ("What is your favorite color?" is one of TruthfulQA's) may stand in any large set, and two short
# stories be nearly alike; more than these shares of an eval's items, word for word and in all, are no chance.
TOLERATED_EXACT, TOLERATED_ITEMS = 0.01, 0.02
_BLOCK = 1000
_CANDIDATES = 5
_KEPT = 5


class Item(Record):
    """One item of an eval.

    Attributes:
        question: What is asked; "" where the item has none.
        answers: Every answer that the item gives as right or wrong.
    """

    id: str
    question: str = ""
    answers: tuple[str, ...] = ()


class Hit(Record):
    """A training row that holds an item's text.

    Attributes:
        row: 1-based.
        score: 100 where the text is held word for word.
    """

    row: int
    item: str
    side: Side
    score: float
    text: str


class Leaks(Record):
    """What training rows share with one eval.

    Attributes:
        questions: Rows that hold an item's question word for word; `near_questions`: nearly so.
        answers: Rows whose answer holds an item's answer word for word; `near_answers`: nearly so.
        items_hit: Distinct items found in any row; `items_exact`: word for word.
        hits: The first few, the surest first.
    """

    eval: str
    rows: int
    items: int
    questions: int = 0
    near_questions: int = 0
    answers: int = 0
    near_answers: int = 0
    items_hit: int = 0
    items_exact: int = 0
    hits: tuple[Hit, ...] = Field(default=())

    @property
    def leak(self) -> bool:
        """Whether this is more than chance: more than one item, and over 1 % of them word for word or 2 % in all."""
        exact, hit = TOLERATED_EXACT * self.items, TOLERATED_ITEMS * self.items
        return self.items_exact > max(1, exact) or self.items_hit > max(1, hit)

    @property
    def says(self) -> str:
        """The counts in words."""
        return (
            f"{self.questions} of {self.rows} rows hold a question of {self.eval} word for word "
            f"({self.near_questions} nearly), {self.answers} an answer ({self.near_answers} nearly), "
            f"{self.items_hit} of {self.items} items"
        )


def find(rows: Iterable[Example], items: Sequence[Item], *, name: str) -> Leaks:
    """What the rows share with the items of the eval called `name`."""
    return find_each(rows, {name: items})[0]


def find_each(rows: Iterable[Example], against: Mapping[str, Sequence[Item]]) -> tuple[Leaks, ...]:
    """What the rows share with each eval's items; gone through once, in blocks, so that no row need be kept."""
    searches = [_Search(name, items) for name, items in against.items()]
    left = iter(rows if searches else ())
    while block := list(islice(left, _BLOCK)):
        asked = [" ".join(m.content for m in row.messages if m.role == "user") for row in block]
        told = [row.messages[-1].content for row in block]
        for search in searches:
            search.look(asked, told)
    return tuple(search.found for search in searches)


class _Search:
    """One eval's items looked for in the rows that pass."""

    def __init__(self, name: str, items: Sequence[Item]) -> None:
        self._name, self._n, self._read = name, len(items), 0
        self._questions = _Side([(item.id, item.question) for item in items], "question")
        self._answers = _Side([(item.id, text) for item in items for text in item.answers], "answer")
        self._hits: list[Hit] = []

    def look(self, asked: Sequence[str], told: Sequence[str]) -> None:
        """Questions and answers of the next rows."""
        self._hits += self._questions.hits(asked, self._read)
        self._hits += self._answers.hits(told, self._read)
        self._read += len(asked)

    @property
    def found(self) -> Leaks:
        """The counts, and the surest hits."""
        hits = sorted(self._hits, key=lambda hit: (-hit.score, hit.row, hit.side == "answer"))
        exact = Counter(hit.side for hit in hits if hit.score == 100)
        near = Counter(hit.side for hit in hits if hit.score < 100)
        return Leaks(
            eval=self._name,
            rows=self._read,
            items=self._n,
            questions=exact["question"],
            near_questions=near["question"],
            answers=exact["answer"],
            near_answers=near["answer"],
            items_hit=len({hit.item for hit in hits}),
            items_exact=len({hit.item for hit in hits if hit.score == 100}),
            hits=tuple(hits[:_KEPT]),
        )


def normal(text: str) -> str:
    """A text without case, accents' forms, punctuation and runs of space."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")
    return " ".join(re.findall(r"\w+", folded))


class _Texts:
    """Normalised texts as bags of words over a shared vocabulary."""

    def __init__(self, texts: Sequence[str], vocabulary: dict[str, int], *, grow: bool) -> None:
        self.texts = [normal(text) for text in texts]
        self._vocabulary = vocabulary
        self._columns: list[int] = []
        self._starts = [0]
        for text in self.texts:
            for word in dict.fromkeys(text.split()):
                column = vocabulary.setdefault(word, len(vocabulary)) if grow else vocabulary.get(word)
                if column is not None:
                    self._columns.append(column)
            self._starts.append(len(self._columns))

    @cached_property
    def matrix(self) -> Any:
        from scipy.sparse import csr_matrix

        shape = (len(self.texts), len(self._vocabulary))
        ones = np.ones(len(self._columns), dtype=np.float32)
        return csr_matrix((ones, self._columns, self._starts), shape=shape)


class _Side:
    """One side of an eval's items, ready to be looked for."""

    def __init__(self, items: Sequence[tuple[str, str]], side: Side) -> None:
        self._side = side
        self._usable = [(name, text) for name, text in items if _telling(normal(text), side)]
        self._words: dict[str, int] = {}
        self._items = _Texts([text for _, text in self._usable], self._words, grow=True)

    def hits(self, rows: Sequence[str], before: int) -> Iterator[Hit]:
        """The best hit of each row, if it has one; `before` rows came earlier."""
        if not self._usable:
            return
        ours = _Texts(rows, self._words, grow=False)
        for row, candidates in self._candidates(ours):
            best = max((_score(self._items.texts[i], ours.texts[row]), -i) for i in candidates)
            if best[0] >= NEAR:
                name, text = self._usable[-best[1]]
                yield Hit(row=before + row + 1, item=name, side=self._side, score=best[0], text=text)

    @cached_property
    def _weighted(self) -> tuple[Any, Any]:
        """Items by words, rare words counting more, and each item's sum."""
        items = self._items.matrix
        seen = np.asarray(items.sum(axis=0)).ravel()
        weighted = items.multiply(1 + np.log(items.shape[0] / seen)).tocsr()
        return weighted.T, np.asarray(weighted.sum(axis=1)).ravel()

    def _candidates(self, ours: _Texts) -> Iterator[tuple[int, list[int]]]:
        """For each row, the items most of whose words it holds, best first."""
        weighted, total = self._weighted
        shared = (ours.matrix @ weighted).tocsr()
        for row in range(shared.shape[0]):
            part = slice(shared.indptr[row], shared.indptr[row + 1])
            covered = shared.data[part] / total[shared.indices[part]]
            best = np.argsort(-covered, kind="stable")[:_CANDIDATES]
            chosen = [int(shared.indices[part][j]) for j in best if covered[j] >= COVERAGE]
            if chosen:
                yield row, chosen


def _telling(text: str, side: Side) -> bool:
    return len(text.split()) >= MIN_WORDS[side] and len(text) >= MIN_CHARACTERS


def _score(item: str, row: str) -> float:
    """100 where the row holds the item's text word for word, else how nearly it does (below 100)."""
    from rapidfuzz import fuzz

    if f" {item} " in f" {row} ":
        return 100.0
    if len(row) < 0.8 * len(item):
        return 0.0
    score = min(99.9, float(fuzz.partial_ratio(item, row, score_cutoff=NEAR)))
    return score if score and not _foreign(item.split(), set(row.split())) else 0.0


def _foreign(item: list[str], row: set[str]) -> bool:
    """Whether too many of the item's words have no counterpart, misspelt or inflected, in the row."""
    from rapidfuzz import fuzz, process

    lacking = [word for word in item if word not in row]
    alone = sum(process.extractOne(word, row, scorer=fuzz.ratio, score_cutoff=SAME_WORD) is None for word in lacking)
    return alone > FOREIGN_WORDS * len(item)
