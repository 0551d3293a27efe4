"""Which tokens answer a closed question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Forms = tuple[tuple[int, ...], ...]


class OptionTokens:
    """The single-token forms of every label under one tokenizer; the vocabulary is read once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._by_text: dict[str, list[int]] | None = None
        self._known: dict[tuple[str, ...], Forms | None] = {}

    def forms(self, labels: Sequence[str]) -> Forms | None:
        """For each label the token ids that say it, as the first token of an answer.

        These are all tokens whose text is the label but for white space around it ("1", " 1", ...), and the
        first token of the label as it is spelled at the start of an answer, where that is only part of it. Where
        such parts do not tell the labels apart, the whole-label tokens alone.

        Returns:
            One tuple of ids per label, no id in two of them; None where the first token does not tell the
            labels apart.
        """
        key = tuple(labels)
        if key not in self._known:
            whole = [self.whole(label) for label in key]
            begun = [sorted({*ids, *self._first(label)}) for ids, label in zip(whole, key, strict=True)]
            self._known[key] = _apart(begun) or _apart(whole)
        return self._known[key]

    def exactly(self, text: str) -> int | None:
        """The one token that `text` is on its own; None where it is several, or is read back differently."""
        ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return int(ids[0]) if len(ids) == 1 and self._tokenizer.decode(ids) == text else None

    def spelling(self, label: str) -> tuple[int, ...]:
        """The tokens of a label at the start of an answer; () where one of them says nothing."""
        ids = tuple(int(index) for index in self._tokenizer(label, add_special_tokens=False)["input_ids"])
        return ids if all(str(self._tokenizer.decode([index])).strip() for index in ids) else ()

    def whole(self, label: str) -> list[int]:
        """The tokens whose text is the label but for white space around it."""
        if self._by_text is None:
            self._by_text = self._read_vocabulary()
        return self._by_text.get(label.strip(), [])

    def _first(self, label: str) -> list[int]:
        ids = self._tokenizer(label, add_special_tokens=False)["input_ids"][:1]
        return [index for index in ids if str(self._tokenizer.decode([index])).strip()]

    def _read_vocabulary(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        special = set(self._tokenizer.all_special_ids)
        for index in range(len(self._tokenizer)):
            text = str(self._tokenizer.decode([index], clean_up_tokenization_spaces=False))
            if index not in special and text.strip():
                found[text.strip()].append(index)
        return dict(found)


def option_probabilities(logits: Tensor, forms: Sequence[Forms]) -> Tensor:
    """The probability of each option as the next token: the sum over its forms, the whole vocabulary as the base.

    Only the options' logits are read out, on the model's own device: a vocabulary is large, and options are few.

    Args:
        logits: fp32, shape (B, V).
        forms: The options of each row, B of them; no options where they cannot be told apart.

    Returns:
        float64, shape (B, O) with O the most options of a row; 0 where a row has fewer.
    """
    kinds = list(dict.fromkeys(forms))
    options, width = max(map(len, kinds)), max((len(ids) for kind in kinds for ids in kind), default=0)
    table = torch.full((len(kinds), options, width), -1)
    for at, kind in enumerate(kinds):
        for option, ids in enumerate(kind):
            table[at, option, : len(ids)] = torch.tensor(ids)
    index = table[torch.tensor([kinds.index(kind) for kind in forms])].to(logits.device)
    found = logits.gather(1, index.clamp(min=0).flatten(1)).view(index.shape)
    logs = found.double() - torch.logsumexp(logits, dim=-1).double()[:, None, None]
    return logs.exp().masked_fill(index < 0, 0).sum(-1)


def _apart(forms: list[list[int]]) -> Forms | None:
    every = [index for ids in forms for index in ids]
    if not all(forms) or len(set(every)) != len(every):
        return None
    return tuple(tuple(ids) for ids in forms)
