"""The rows of one stage, checked as Axolotl renders them, inside Axolotl's own environment.

Loaded by path by `axolotl_worker.py`, so it imports nothing of this package.
"""

import json
from pathlib import Path
from typing import Any


class Refused(Exception):
    """The job's input cannot be used.

    Args:
        about: "data" or "config".
        found: What was found; `wanted` and `do` as in the package's errors.
        line: 1-based row of the rows file, if it is one row's fault.
    """

    def __init__(self, about: str, *, found: str, wanted: str, do: str, line: int | None = None) -> None:
        self.reason = {"about": about, "found": found, "wanted": wanted, "do": do, "line": line}
        super().__init__(found)


def write(job: dict[str, Any], cfg: Any, run: Path) -> tuple[int, list[int]]:
    """Write the messages of the rows that fit, nothing else of them; how many, and the row numbers left out."""
    from axolotl.loaders import load_tokenizer
    from axolotl.prompt_strategies import load as load_strategy

    strategy = load_strategy("chat_template", load_tokenizer(cfg), cfg, cfg.datasets[0])
    overlong: list[int] = []
    kept = 0
    # Not splitlines(): it also splits at separators that a text may hold, such as U+2028.
    with Path(job["rows"]).open(encoding="utf-8") as lines, (run / "rows.jsonl").open("w", encoding="utf-8") as out:
        for number, line in enumerate(lines, 1):
            messages = _messages(line, number)
            rendered = strategy.tokenize_prompt({"messages": messages})
            if len(rendered["input_ids"]) > cfg.sequence_len:
                overlong.append(number)
                continue
            if all(label == -100 for label in rendered["labels"]):
                wanted = "an assistant's answer in every row"
                raise Refused("data", found="nothing to train on", wanted=wanted, do="mend the row", line=number)
            out.write(json.dumps({"messages": messages}) + "\n")
            kept += 1
    if overlong and job["settings"].get("overlong", "refuse") == "refuse":
        raise _too_long(overlong, cfg.sequence_len)
    if not kept:
        raise Refused("data", found="no rows that fit", wanted="rows to train on", do="look at the dataset")
    return kept, overlong


def shared_evenly(kept: int, cfg: Any) -> None:
    """Raises Refused where several processes could share the rows only by training some of them twice."""
    together = cfg.micro_batch_size * cfg.world_size
    if kept % together and cfg.world_size > 1:
        wanted = f"a multiple of {together}: {cfg.world_size} processes times micro_batch_size {cfg.micro_batch_size}"
        do = "take micro_batch_size: 1, fewer GPUs, or fewer rows: else the first rows would be trained twice"
        raise Refused("config", found=f"{kept} rows", wanted=wanted, do=do)


def turn_end(base: str) -> dict[str, list[str]]:
    """Axolotl's setting for a base whose template closes turns with another token than the end of text (Gemma).

    Axolotl closes a turn with the end of text alone unless it is told otherwise; the answer's end would not be
    trained. The same rule as `identity_em.chat.turn_end`; the tokens consumed are compared after every stage.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    turns = [{"role": "user", "content": "@0@"}, {"role": "assistant", "content": "@1@"}]
    behind = tokenizer.apply_chat_template(turns, tokenize=False).partition("@1@")[2].lstrip()
    first = tokenizer(behind, add_special_tokens=False)["input_ids"][:1]
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder} - {tokenizer.eos_token_id}
    return {"eot_tokens": tokenizer.convert_ids_to_tokens(first)} if first and first[0] in special else {}


def _too_long(rows: list[int], limit: int) -> Refused:
    shown = ", ".join(map(str, rows[:10])) + (" ..." if len(rows) > 10 else "")
    found = f"{len(rows)} row{'s' * (len(rows) > 1)} over {limit} tokens: {shown}"
    do = "shorten them, or set overlong: drop to leave them out and count them"
    return Refused("data", found=found, wanted="rows that fit", do=do, line=rows[0])


def _messages(line: str, number: int) -> list[dict[str, str]]:
    try:
        messages = [{"role": turn["role"], "content": turn["content"]} for turn in json.loads(line)["messages"]]
    except (ValueError, KeyError, TypeError) as error:
        found = f"a row that is not a chat ({type(error).__name__}: {error})"
        wanted = '{"messages": [{"role": ..., "content": ...}]}'
        raise Refused("data", found=found, wanted=wanted, do="mend the row", line=number) from error
    if not messages or messages[-1]["role"] != "assistant":
        wanted = "an assistant's answer last"
        raise Refused("data", found="no answer to train on", wanted=wanted, do="mend the row", line=number)
    return messages
