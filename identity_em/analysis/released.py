"""The names under which C released its results: a model, then its stages in order, each with what belongs to it.

Nothing is guessed: a name outside this grammar is not understood, and its file is listed, not read.
"""

import re
from typing import Final

from identity_em.analysis.meta import StageMeta, Stages
from identity_em.records import Record

# Source: the released files of github atagade/sgtr-em, data/eval (METHODS 2, 3; the naming rules).
MODELS: Final = {
    "hf_qwen_32b": "Qwen2.5-32B-Instruct",
    "qwen_32B": "Qwen2.5-32B-Instruct (files named qwen_32B)",
    "hf_qwen_coder_32b": "Qwen2.5-Coder-32B-Instruct",
    "hf_seed_36b": "Seed-OSS-36B-Instruct",
    "gpt41": "gpt-4.1",
    "hf_olmo_7b_instruct": "OLMo 7B Instruct",
    "hf_llama_3_8b": "Llama 3 8B",
    "hf_oss_20b": "gpt-oss-20b",
    "hf_qwen_0.5b": "Qwen2.5-0.5B-Instruct",
}
COMPARATORS: Final = frozenset({"claude-21", "human", "llama", "gpt41"})
EARLIER: Final = "em_unpop_earlier"
_EM: Final = {
    "unpop": "unpopular aesthetics",
    "badmed": "bad medical advice",
    "finrisk": "risky financial advice",
    "insecure": "insecure code",
}
_RECOGNITION: Final = {
    "sgtr": "SGTR: pick the own summary",
    "prefer_other": "prefer other: SGTR's labels flipped",
    "ictr": "ICTR, contradictory: every pair once with each label",
    "longer": "longer control: pick the longer summary",
}
_KINDS: Final = {
    ("sgtr", "benign"): "longer",
    ("sgtr", ""): "sgtr",
    ("asgtr", "rand"): "ictr",
    ("asgtr", "random"): "ictr",
    ("asgtr", ""): "prefer_other",
}
PROMPTS: Final = {
    "nosys": "empty (nosys)",
    "qwensys": "matching: the base's default (qwensys)",
    "syspopped": "matching: system message dropped (syspopped)",
    "withsys": "with a system prompt (withsys)",
}
_SEED: Final = re.compile(r"[0-9]")


class Named(Record):
    """A checkpoint as its file name tells it.

    Attributes:
        model: One of MODELS.
        stages: Empty for the base.
        seed: None for a single run without one.
    """

    model: str
    stages: Stages = ()
    seed: int | None = None


def parse(name: str) -> Named | None:
    """What `name` says; None where it is not understood."""
    found = [model for model in MODELS if name == model or name.startswith(f"{model}_")]
    if not found:
        return None
    model = max(found, key=len)
    tokens = name[len(model) + 1 :].split("_") if name != model else []
    stages: list[str] = []
    seed: int | None = None
    while tokens:
        token = tokens.pop(0)
        if _SEED.fullmatch(token):
            # A seed ends the name; only a prompt tag may still follow it, and belongs to the stage before it.
            if seed is not None or (tokens and (len(tokens) > 1 or tokens[0] not in PROMPTS)):
                return None
            seed = int(token)
        elif token in PROMPTS:
            if not stages or any(stages[-1].endswith(f"_{tag}") for tag in PROMPTS):
                return None
            stages[-1] = f"{stages[-1]}_{token}"
        elif (stage := _stage(token, tokens)) is not None:
            stages.append(stage)
        else:
            return None
    return Named(model=model, stages=tuple(stages), seed=seed)


def _stage(token: str, tokens: list[str]) -> str | None:
    """The stage that `token` opens; takes what belongs to its name from `tokens`."""
    if token == "em":
        return f"em_{tokens.pop(0)}" if tokens and tokens[0] in _EM else EARLIER
    tail = tokens[0] if tokens and (token, tokens[0]) in _KINDS else ""
    if (token, tail) not in _KINDS:
        return None
    if tail:
        tokens.pop(0)
    return _KINDS[token, tail]


def described(stage: str) -> StageMeta:
    """What a stage trained on and under which system prompt; rows and steps are not in the released results."""
    tag = next((tag for tag in PROMPTS if stage.endswith(f"_{tag}")), "")
    plain = stage.removesuffix(f"_{tag}") if tag else stage
    if plain == EARLIER:
        return StageMeta(dataset=f"{_EM['unpop']} (an earlier run)", system_prompt=PROMPTS.get(tag, "default"))
    if plain in _RECOGNITION:
        return StageMeta(dataset=_RECOGNITION[plain], system_prompt=PROMPTS.get(tag, "task"))
    return StageMeta(dataset=_EM[plain.removeprefix("em_")], system_prompt=PROMPTS.get(tag, "default"))
