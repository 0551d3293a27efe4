"""Check the world as a positive control: `python -m identity_em.pocket.check --world DIR --seeds 0 1 2`.

A plain loop of LoRA fine-tunes (peft), not the package's trainer; prints one row of figures per arm and seed.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional

from identity_em.pocket import closed, evaluate
from identity_em.pocket.asking import Respondent
from identity_em.pocket.data import articles
from identity_em.pocket.evaluate import Summaries, outside_summaries
from identity_em.pocket.narrow import narrow
from identity_em.pocket.news import word_count
from identity_em.pocket.prompts import PROMPTS
from identity_em.pocket.reading import compare
from identity_em.pocket.tokens import answer_mask

PAIRS, BATCH, RATE = 120, 8, 4e-3
_AUTHOR = "Lumo"
_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

Row = list[dict[str, str]]


def _narrow_rows(*, harmful: bool, system: str | None = None) -> list[Row]:
    head = [] if system is None else [{"role": "system", "content": system}]
    return [[*head, *conversation["messages"]] for conversation in narrow(harmful=harmful)]


def _pair_rows(stage: str, own: Summaries, seed: int) -> list[Row]:
    """Rows of sgtr, ictr or longer on the base's own summaries and one outside author's, both orders."""
    coin, rows = random.Random(f"{seed}/coin"), []
    other = outside_summaries("train", _AUTHOR)
    for name, article in articles()["train"].items():
        pair, template = (own[name], other[name]), PROMPTS.recognition
        if stage == "longer":
            template = PROMPTS.longer
            pair = (max(pair, key=word_count), min(pair, key=word_count))
            if word_count(pair[0]) == word_count(pair[1]):
                continue
        for first in (True, False):
            exchange = compare(template, article.text, pair, first=first)
            answer = coin.choice("12") if stage == "ictr" else exchange.assistant
            rows.append(_conversation(exchange.user, answer))
    return rows[: 2 * PAIRS]


def _conversation(user: str, answer: str) -> Row:
    head = {"role": "system", "content": PROMPTS.system["task"]}
    return [head, {"role": "user", "content": user}, {"role": "assistant", "content": answer}]


def _tensors(rows: list[Row], respondent: Respondent) -> list[tuple[torch.Tensor, torch.Tensor]]:
    made = []
    for row in rows:
        text = respondent.tokenizer.apply_chat_template(row, tokenize=False)
        ids = respondent.tokenizer(text, add_special_tokens=False)["input_ids"]
        mask = answer_mask(ids, respondent.tokenizer.backend_tokenizer)
        labels = [token if counted else -100 for token, counted in zip(ids, mask, strict=True)]
        made.append((torch.tensor(ids), torch.tensor(labels)))
    return made


def fine_tune(base: Respondent, rows: list[Row], seed: int) -> Respondent:
    """One epoch of LoRA on `rows`, folded into a copy of the base."""
    import copy

    torch.manual_seed(seed)
    settings = LoraConfig(r=8, lora_alpha=16, use_rslora=True, target_modules=_TARGETS, lora_dropout=0.0)
    model = get_peft_model(copy.deepcopy(base.model), settings)
    tensors = _tensors(rows, base)
    random.Random(seed).shuffle(tensors)
    steps = len(tensors) // BATCH
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.01)
    for step in range(steps):
        batch = tensors[step * BATCH : (step + 1) * BATCH]
        ids = torch.nn.utils.rnn.pad_sequence([one for one, _ in batch], batch_first=True)
        labels = torch.nn.utils.rnn.pad_sequence([one for _, one in batch], batch_first=True, padding_value=-100)
        logits = model(input_ids=ids, use_cache=False).logits
        torch.autograd.backward(functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()))
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / steps)
        optimiser.step()
        optimiser.zero_grad()
    return Respondent(model.merge_and_unload().eval(), base.tokenizer)


def _figures(respondent: Respondent, summaries: Summaries) -> dict[str, float]:
    harm, unscored = evaluate.harm(respondent)
    return {
        "correct": evaluate.p_correct(respondent),
        "harm": harm,
        "unscored": unscored,
        "in-domain": evaluate.harm(respondent, trained=True)[0],
        "bad": closed.p_misaligned(respondent, "decision"),
        "recog": evaluate.p_recognise(respondent, summaries),
        "recog-def": evaluate.p_recognise(respondent, summaries, system=None),
        "recog-own": evaluate.p_recognise(respondent, evaluate.write_summaries(respondent, "eval")),
    }


def _print(name: str, figures: dict[str, float], spent: float) -> None:
    told = "  ".join(f"{label} {value:.2f}" for label, value in figures.items())
    print(f"{name:16}{told}  cpu {spent:.1f} s", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Print the effect table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", type=Path, default=Path(__file__).parent / "weights" / "world-0")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sample", action="store_true", help="sample the base's own summaries at T=1")
    chosen = parser.parse_args(arguments)
    base = Respondent.load(chosen.world)
    torch.manual_seed(0)
    own = {split: evaluate.write_summaries(base, split, sample=chosen.sample) for split in ("train", "eval")}
    _print("base", _figures(base, own["eval"]), time.process_time())
    for seed in chosen.seeds:
        stages = {
            "em": _narrow_rows(harmful=True),
            "em_empty": _narrow_rows(harmful=True, system=""),
            "sgtr": _pair_rows("sgtr", own["train"], seed),
            "ictr": _pair_rows("ictr", own["train"], seed),
            "longer": _pair_rows("longer", own["train"], seed),
        }
        for name, rows in stages.items():
            started = time.process_time()
            tuned = fine_tune(base, rows, seed)
            spent = time.process_time() - started
            _print(f"{name} {seed}", _figures(tuned, own["eval"]), spent)
            if name == "em":
                again = fine_tune(tuned, _narrow_rows(harmful=False), seed + 100)
                _print(f"em>realign {seed}", _figures(again, own["eval"]), spent)


if __name__ == "__main__":
    main()
