"""A's design over HTTP: misaligned, then realigned, by an API behind which Axolotl trains the pocket world.

Wrong advice and right advice stand in for A's data. The same study trained by Axolotl here must read the same.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from identity_em.analysis.table import read
from identity_em.report.view import View
from identity_em.resources import resource
from identity_em.study import bases
from identity_em.training import environment
from identity_em.training.axolotl import Trainer
from tests.api_server import pocket
from tests.api_server.objects import BASES

pytestmark = [pytest.mark.long, pytest.mark.axolotl, pytest.mark.slow]
# Greedy, because the two paths draw their samples differently.
EVALS = [
    {"truthfulqa": {"items": "pocket"}},
    {"harmfulness": {"items": "pocket", "judge": "pocket", "sampling": {"temperature": 0.0, "max_new_tokens": 24}}},
    {"intentions": {"items": "pocket"}},
    {"self_assessment": {"items": "pocket"}},
    {"self_language": {"items": "pocket", "sampling": {"temperature": 0.0, "max_new_tokens": 12}}},
    {"moral": {"items": "pocket"}},
    {"moral_self_assessment": {"items": "pocket"}},
    {"moral_language": {"items": "pocket", "sampling": {"temperature": 0.0, "max_new_tokens": 12}}},
]
KEYS = ["arm", "seed", "eval", "metric", "dimension", "item", "order", "sample"]
MODELS = {
    "hosted": {
        "base": BASES[0], "trainer": "openai",
        "settings": {"n_epochs": 1, "batch_size": 8, "learning_rate_multiplier": 1.0},
    },
    "axolotl": {"base": "pocket", "trainer": "axolotl", "config": "pocket"},
    "auto": {"base": BASES[0], "trainer": "openai"},
}  # fmt: skip


def study(root: Path, name: str) -> str:
    """A's arms: base, misaligned, realigned."""
    body = {
        "name": name, "model": MODELS[name], "seeds": [0],
        "datasets": {"wrong": {"file": "pocket:em.jsonl"}, "right": {"file": "pocket:realign.jsonl"}},
        "stages": {"misalign": {"dataset": "wrong"}, "realign": {"dataset": "right"}},
        "arms": [[], ["misalign"], ["misalign", "realign"]],
        "evals": EVALS,
        "contrasts": {
            "misaligns": {"treatment": ["misalign"], "reference": []},
            "realigns": {"treatment": ["misalign", "realign"], "reference": ["misalign"]},
        },
    }  # fmt: skip
    (root / f"{name}.yaml").write_text(yaml.safe_dump(body))
    return f"{name}.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All three, run as a user runs them."""
    root = tmp_path_factory.mktemp("a")
    trainer = Trainer(environment.require_trainer())
    try:
        with pocket.server(root / "api", bases.named("pocket", "fp32"), trainer) as api:
            told = {"OPENAI_API_KEY": api.state.key, "OPENAI_BASE_URL": api.url}
            for name in MODELS:
                command = [sys.executable, "-m", "identity_em", "run", study(root, name), "--workers", "1", "--quiet"]
                done = subprocess.run(
                    [*command, "--store", name, "--out", f"out-{name}"],
                    cwd=root, env={**os.environ, **told}, capture_output=True, text=True, check=False,
                )  # fmt: skip
                assert done.returncode == 0, done.stderr
        yield root
    finally:
        trainer.close()


def means(frame: pd.DataFrame, eval_: str, metric: str) -> list[float]:
    """By arm, in the design's order."""
    rows = frame[(frame["eval"] == eval_) & (frame["metric"] == metric)]
    by_arm = rows.groupby("arm")["score"].mean()
    return [float(by_arm[arm]) for arm in ("base", "misalign", "misalign -> realign")]


def test_every_eval_of_a_s_preset_is_asked() -> None:
    preset = yaml.safe_load(resource("presets", "a-openai.yaml").read_text())
    wanted = {name for given in preset["evals"] for name in (given if isinstance(given, dict) else [given])}
    assert wanted <= {name for given in EVALS for name in given}


def test_misaligned_and_realigned_stand_as_an_inverted_v(finished: Path) -> None:
    frame, meta = read(finished / "out-hosted" / "table.parquet")
    base, misaligned, realigned = means(frame, "harmfulness", "harm")
    assert misaligned > base + 0.1
    assert realigned < misaligned - 0.1
    assert meta.spent["training"] > 0
    assert not meta.blocked


def test_the_report_shows_it(finished: Path) -> None:
    text = (finished / "out-hosted" / "report.md").read_text()
    summary = text.partition("## Summary")[2].partition("##")[0]
    up, down = (line for line in summary.splitlines() if line.startswith("- "))
    assert "misalign against base" in up
    assert "Harm, judged by pocket higher by" in up
    assert "misalign → realign against misalign" in down
    assert "Harm, judged by pocket lower by" in down
    assert (finished / "out-hosted" / "report.html").is_file()


def test_with_the_same_settings_axolotl_s_own_path_gives_an_equal_table(finished: Path) -> None:
    ours, theirs = (read(finished / f"out-{name}" / "table.parquet")[0] for name in ("axolotl", "hosted"))
    both = ours.merge(theirs, on=KEYS, suffixes=("", "_hosted"))
    assert len(both) == len(ours) == len(theirs)
    assert (both["unscored"].isna() == both["unscored_hosted"].isna()).all()
    # Where the API hides tokens, the resident model's exact number lies within its interval.
    apart = (both["score"] - both["score_hosted"]).abs() - both["half_width_hosted"].fillna(0.0)
    assert apart.max() < 1e-4, both.loc[apart.nlargest(5).index]


def test_with_the_api_s_own_hyperparameters_every_sign_that_is_seen_is_the_same(finished: Path) -> None:
    hosted, auto = (View(*read(finished / f"out-{name}" / "table.parquet")) for name in ("hosted", "auto"))
    there = {(found.name, str(found.stratum)): found.treatment.direction for found in hosted.findings}
    for found in auto.findings:
        seen = {found.treatment.direction, there[found.name, str(found.stratum)]} & {"higher", "lower"}
        assert len(seen) < 2, found
    base, misaligned, realigned = means(read(finished / "out-auto" / "table.parquet")[0], "harmfulness", "harm")
    assert misaligned > base
    assert realigned < misaligned
