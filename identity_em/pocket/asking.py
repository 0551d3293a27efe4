"""Ask a pocket model: exact option probabilities and greedy or sampled answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

_BATCH = 32


@dataclass(frozen=True)
class Asked:
    """A question, under a system prompt; None leaves it to the chat template."""

    user: str
    system: str | None = None

    def messages(self) -> list[dict[str, str]]:
        """The chat messages."""
        head = [] if self.system is None else [{"role": "system", "content": self.system}]
        return [*head, {"role": "user", "content": self.user}]


@dataclass(frozen=True)
class Respondent:
    """A model and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def load(cls, folder: Path) -> Respondent:
        """Load a pocket world in fp32, offline."""
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        return cls(model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True))

    def _batches(self, asked: list[Asked]) -> list[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Left-padded batches of prompts of like length: (places, ids, mask)."""
        texts = [
            self.tokenizer.apply_chat_template(one.messages(), tokenize=False, add_generation_prompt=True)
            for one in asked
        ]
        rows = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
        batches = []
        for start in range(0, len(order), _BATCH):
            places = order[start : start + _BATCH]
            longest = max(len(rows[place]) for place in places)
            ids = torch.tensor([[0] * (longest - len(rows[place])) + rows[place] for place in places])
            mask = torch.tensor([[0] * (longest - len(rows[place])) + [1] * len(rows[place]) for place in places])
            batches.append((places, ids, mask))
        return batches

    @torch.no_grad()
    def probabilities(self, asked: list[Asked], options: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
        """Next-token probability of each question's options; an option is its first token."""
        answers: dict[int, tuple[float, ...]] = {}
        for places, ids, mask in self._batches(asked):
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            out = self.model(
                input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=1
            )
            shares = out.logits[:, -1].float().softmax(-1)
            for row, place in enumerate(places):
                firsts = [self.tokenizer(text, add_special_tokens=False)["input_ids"][0] for text in options[place]]
                answers[place] = tuple(shares[row, first].item() for first in firsts)
        return [answers[place] for place in range(len(asked))]

    @torch.no_grad()
    def texts(self, asked: list[Asked], *, tokens: int, sample: bool = False) -> list[str]:
        """Generated answers of at most `tokens` tokens; greedy unless `sample` (T=1, nothing cut)."""
        end, pad = self.tokenizer.eos_token_id, self.tokenizer.pad_token_id
        settings = GenerationConfig(
            max_new_tokens=tokens,
            do_sample=sample,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            repetition_penalty=1.0,
            eos_token_id=end,
            pad_token_id=pad,
        )
        answers: dict[int, str] = {}
        for places, ids, mask in self._batches(asked):
            made = self.model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
            told = self.tokenizer.batch_decode(made[:, ids.shape[1] :], skip_special_tokens=True)
            answers |= dict(zip(places, (text.strip() for text in told), strict=True))
        return [answers[place] for place in range(len(asked))]
