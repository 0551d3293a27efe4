"""Published articles and summaries through `build`, and their rows through real Axolotl."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from identity_em.resources import folder
from identity_em.training.axolotl import Trainer
from identity_em.training.jobs import Job
from identity_em.training.settings import settings


@pytest.fixture(scope="module")
def built(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`identity-em build sgtr` on XSum, Qwen2.5-32B against Claude 2.1, as a user types it."""
    out = tmp_path_factory.mktemp("real") / "sgtr"
    corpora = reference / "corpora"
    command = [
        sys.executable, "-m", "identity_em", "build", "sgtr",
        "--articles", str(corpora / "articles" / "xsum_train_articles.json"),
        "--self", str(corpora / "summaries" / "xsum" / "xsum_train_hf_qwen_32b_responses.json"),
        "--other", str(corpora / "summaries" / "xsum" / "xsum_train_claude-21_responses.json"),
        "--out", str(out),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2,000 rows" in done.stdout
    return out


def test_build_writes_both_orders_of_every_pair(built: Path) -> None:
    facts = [json.loads(line) for line in (built / "facts.jsonl").read_text().splitlines()]
    assert len(facts) == 2000
    assert sum(fact["label"] == 1 or fact["label"] == "1" for fact in facts) == 1000
    assert len({fact["article"] for fact in facts}) == 1000


@pytest.mark.axolotl
@pytest.mark.slow
def test_the_first_64_real_rows_that_fit_train_one_stage_and_the_refused_ones_are_counted(
    built: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    from identity_em import chat
    from identity_em.records import Example

    base = folder("pocket") / "weights" / "world-0"
    tokenizer = AutoTokenizer.from_pretrained(base)
    taken: list[str] = []
    fits = 0
    for line in (built / "rows.jsonl").read_text(encoding="utf-8").split("\n"):
        ids, _ = chat.row_ids(tokenizer, Example.model_validate_json(line).messages)
        taken.append(line)
        fits += len(ids) <= 2048
        if fits == 64:
            break
    assert len(taken) > 64, "some real rows must be too long for this tokenizer"
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(taken) + "\n", encoding="utf-8")
    job = Job(
        settings=settings("pocket", {"overlong": "drop", "micro_batch_size": 4}), base=str(base), base_name="pocket",
        rows=rows, seed=0, precision="fp32", out=tmp_path / "out", work=tmp_path / "work", log=tmp_path / "log",
    )  # fmt: skip
    with Trainer() as trainer:
        trained = trainer.train(job)
    assert trained.rows == 64
    assert trained.dropped == len(taken) - 64
    assert trained.steps == 16
