"""Rows as the trainer sees them: tokens, and which of them carry loss."""

import hashlib
from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from identity_em import chat
from identity_em.records import Example, Record

if TYPE_CHECKING:
    from rich.text import Text
    from transformers import PreTrainedTokenizerBase

# The label of a token that carries no loss, as torch's cross entropy ignores it.
IGNORED = -100


class Rendered(Record):
    """One row in tokens.

    Attributes:
        ids: Token ids, length T.
        trained: Which of them carry loss, length T.
    """

    ids: tuple[int, ...]
    trained: tuple[bool, ...]

    @property
    def labels(self) -> tuple[int, ...]:
        """The id where a token is trained, else -100; length T."""
        return tuple(i if on else IGNORED for i, on in zip(self.ids, self.trained, strict=True))

    @property
    def digest(self) -> bytes:
        """SHA-256 over ids and labels as little-endian int32, 32 bytes."""
        return row_digest(self.ids, self.labels)


def render(tokenizer: "PreTrainedTokenizerBase", row: Example, *, block: bool = True) -> Rendered:
    """A row in the tokens that its trainer reads.

    Args:
        block: False where the stage's system prompt is `none`.

    Raises:
        DataError: The row's prompt and answer are not separate tokens.
    """
    ids, trained = chat.row_ids(tokenizer, row.messages, block=block)
    return Rendered(ids=tuple(ids), trained=tuple(trained))


def row_digest(ids: Sequence[int], labels: Sequence[int]) -> bytes:
    """SHA-256 over a row's ids, a bar and its labels, both as little-endian int32; 32 bytes."""
    return hashlib.sha256(_int32(ids) + b"|" + _int32(labels)).digest()


def rendered_sha256(rows: Iterable[Rendered]) -> str:
    """SHA-256 over the sorted digests of all rows, so that the trainer's shuffling does not matter; 64 hex digits."""
    return hashlib.sha256(b"".join(sorted(row.digest for row in rows))).hexdigest()


def marked(tokenizer: "PreTrainedTokenizerBase", row: Rendered) -> list[tuple[str, bool]]:
    """Token texts in order, each with whether it is trained.

    Tokens that only together spell a character are given as one.
    """
    found: list[tuple[str, bool]] = []
    waiting: list[int] = []
    for i, (token, trained) in enumerate(zip(row.ids, row.trained, strict=True)):
        waiting.append(token)
        text = str(tokenizer.decode(waiting, clean_up_tokenization_spaces=False))
        ends = i + 1 == len(row.ids) or row.trained[i + 1] != trained
        if ends or len(waiting) == 4 or not text.endswith("\ufffd"):
            found.append((text, trained))
            waiting = []
    return found


def plain(tokens: Iterable[tuple[str, bool]]) -> str:
    """The tokens as text with each trained stretch in ⟦…⟧, for where there is no colour."""
    parts: list[str] = []
    before = False
    for text, trained in tokens:
        if trained != before:
            parts.append("⟦" if trained else "⟧")
        parts.append(text)
        before = trained
    return "".join(parts) + ("⟧" if before else "")


def coloured(tokens: Iterable[tuple[str, bool]]) -> "Text":
    """The tokens as rich text: trained ones stand out, the rest is dim."""
    from rich.text import Text

    return Text.assemble(*((text, "bold black on green" if trained else "dim") for text, trained in tokens))


def _int32(values: Sequence[int]) -> bytes:
    packed = array("i", values)
    if packed.itemsize != 4:
        raise OverflowError("this platform's C int is not 32 bits")
    if not _LITTLE:
        packed.byteswap()
    return packed.tobytes()


_LITTLE = array("i", [1]).tobytes()[0] == 1
