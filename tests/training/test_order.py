"""The order in which a real stage reads its rows: the file's for a mixture at every k-th row, else shuffled."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from identity_em import chat
from identity_em.interventions import folder, recipes
from identity_em.interventions.direct import stored
from identity_em.resources import folder as resources
from identity_em.training.axolotl import told
from identity_em.training.environment import find_trainer
from identity_em.training.jobs import Job
from identity_em.training.settings import settings

SCRIPT = Path(__file__).with_name("axolotl_order.py")
EVERY = {"curriculum_sampling": True}  # what `study.datasets` adds for `every`
CASES: dict[str, dict[str, Any]] = {"every": EVERY, "plain": {}}


def mixture(out: Path) -> Path:
    """24 rows, each fourth one about summaries."""
    data = resources("pocket") / "data"
    pairs = {"articles": "articles_train", "self": "summaries_train_lumo", "other": "summaries_train_lumo"}
    texts = {name: data / f"{file}.json" for name, file in pairs.items()}
    inputs: recipes.Inputs = {
        "main": recipes.build("narrow", {"rows": data / "em.jsonl"}, {"limit": 18}, 0),
        "with": recipes.build("sgtr", texts, {"wording": "pocket", "limit": 3}, 0),
    }
    rows = recipes.stream("mix", inputs, {"every": 4}, 0)
    folder.write(out, rows, recipe="mix", inputs=inputs, params={"every": 4}, data_seed=0)
    return out


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[int]]]:
    """Rows as they were read, by case, from one process."""
    trainer = find_trainer()
    if trainer is None:
        pytest.skip("no trainer environment: run `identity-em setup trainer`")
    work = tmp_path_factory.mktemp("order")
    rows = mixture(work / "mix") / "rows.jsonl"
    for name, more in CASES.items():
        scratch = work / name
        scratch.mkdir()
        (scratch / "log").touch()
        chosen = settings("pocket", {**more, "num_epochs": 1}, file=None, line=None)
        job = Job(
            settings={**chosen, "system_block": True}, base=str(resources("pocket") / "weights" / "world-0"),
            base_name="pocket", rows=rows, seed=0, precision="fp32", out=scratch / "out", work=scratch,
            log=scratch / "log",
        )  # fmt: skip
        (work / f"job-{name}.json").write_text(json.dumps(told(job)))
    command = [str(trainer), "-P", str(SCRIPT), str(work)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, cwd=work, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    return {"file": files(work / "mix")} | {n: json.loads((work / f"order-{n}.json").read_text()) for n in CASES}


def files(mix: Path) -> list[list[int]]:
    """The rows' tokens in the file's order."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resources("pocket") / "weights" / "world-0")
    return [chat.row_ids(tokenizer, row.messages)[0] for row in stored(mix)]


@pytest.mark.axolotl
def test_a_mixture_at_every_kth_row_is_trained_in_the_files_order(read: dict[str, list[list[int]]]) -> None:
    assert len(read["file"]) == 24
    assert read["every"] == read["file"]


@pytest.mark.axolotl
def test_all_other_rows_are_shuffled_so_that_only_shares_matter(read: dict[str, list[list[int]]]) -> None:
    assert sorted(read["plain"]) == sorted(read["file"])
    assert read["plain"] != read["file"]
