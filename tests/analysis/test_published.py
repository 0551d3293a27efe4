"""Results as C released them become a table: every name understood or listed, every reference number reproduced."""

import json
from pathlib import Path

import pandas as pd
import pytest

from identity_em.analysis import mapped, published, table
from identity_em.analysis.readings import Readings, Stratum
from identity_em.analysis.released import parse
from identity_em.errors import DataError

TRUTHFULQA = Stratum(eval="truthfulqa", version="published", metric="accuracy", prompt="default")
EM = ("em_unpop",)
# METHODS 13: mean and seed SD of five seeds.
REFERENCE = {
    EM: (0.774, 0.016),
    (*EM, "sgtr"): (0.805, 0.017),
    (*EM, "sgtr_qwensys"): (0.839, 0.033),
    ("sgtr", *EM): (0.801, 0.005),
    ("sgtr_qwensys", *EM): (0.773, 0.040),
    (*EM, "longer"): (0.784, 0.018),
    ("em_unpop_nosys",): (0.824, 0.009),
    ("em_badmed",): (0.851, 0.015),
    ("em_badmed", "sgtr"): (0.857, 0.006),
}
RECOGNISED = {
    (("em_unpop_earlier",), "claude-21"): (0.475, 0.486, 0.467, 0.480, 0.541),
    (("em_unpop_earlier",), "human"): (0.745, 0.731, 0.739, 0.731, 0.793),
    (("sgtr",), "claude-21"): (0.841, 0.853, 0.803, 0.879, 0.835),
    (("em_unpop_earlier", "sgtr"), "claude-21"): (0.915, 0.872, 0.880, 0.902, 0.864),
}


@pytest.fixture(scope="module")
def released(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[published.Imported, Readings]:
    out = tmp_path_factory.mktemp("published") / "t.parquet"
    done = published.sgtr_em(reference / "published" / "sgtr-em", out)
    return done, Readings(*table.read(out))


def test_every_released_name_is_understood(released: tuple[published.Imported, Readings]) -> None:
    done, readings = released
    assert (done.files, done.rows, done.not_understood) == (247, 200 * 790 + 47 * 1000, ())
    assert len(readings.arms) == 44
    assert readings.quality((), TRUTHFULQA).unscored == 0


def test_every_mean_and_seed_sd_of_the_reference_is_reproduced(
    released: tuple[published.Imported, Readings],
) -> None:
    readings = released[1]
    for arm, (mean, sd) in REFERENCE.items():
        matrix = readings.matrix(arm, TRUTHFULQA)
        means = matrix.mean(axis=0)
        # The reference is rounded to three decimals (half a unit is .0005).
        assert means.mean() == pytest.approx(mean, abs=0.00051)
        assert means.std(ddof=1) == pytest.approx(sd, abs=0.00051)
    assert readings.estimate((), TRUTHFULQA).mean == pytest.approx(0.852, abs=0.00051)


def test_every_recognition_accuracy_is_the_share_of_articles_in_its_file(
    released: tuple[published.Imported, Readings], reference: Path
) -> None:
    files = sorted((reference / "published/sgtr-em/data/eval/sgtr").glob("*.json"))
    assert len(files) == 47
    for file in files:
        judge, _, comparator = file.stem.removeprefix("cnn_judge_").partition("_between_")
        named = parse(judge)
        assert named is not None
        chosen = json.loads(file.read_text(encoding="utf-8"))
        wanted = sum(author == judge for author in chosen.values()) / len(chosen)
        found = released[1].estimate(named.stages, _recognition(named.stages, comparator.rpartition("_")[2]))
        assert dict(found.seeds)[named.seed] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(("arm", "comparator"), list(RECOGNISED))
def test_recognition_agrees_with_the_reference(
    released: tuple[published.Imported, Readings], arm: tuple[str, ...], comparator: str
) -> None:
    seeds = dict(released[1].estimate(arm, _recognition(arm, comparator)).seeds)
    assert [seeds[seed] for seed in range(5)] == pytest.approx(RECOGNISED[arm, comparator], abs=0.0005)


def test_the_base_is_one_run_and_its_interval_is_over_items(released: tuple[published.Imported, Readings]) -> None:
    estimate = released[1].estimate((), _recognition((), "claude-21"))
    assert estimate.mean == pytest.approx(0.558)
    assert estimate.rests_on == "1000 items, one run"


def _recognition(arm: tuple[str, ...], comparator: str) -> Stratum:
    author = "current" if arm else "base"
    return TRUTHFULQA.model_copy(
        update={"eval": "self_recognition_cnn", "author": author, "comparator": comparator}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "stages", "seed"),
    [
        ("hf_qwen_32b", (), None),
        ("hf_qwen_32b_em_0", ("em_unpop_earlier",), 0),
        ("hf_qwen_32b_em_badmed_sgtr_benign_4", ("em_badmed", "longer"), 4),
        ("hf_qwen_32b_asgtr_rand_qwensys_em_unpop_3", ("ictr_qwensys", "em_unpop"), 3),
        ("gpt41_em_unpop_2_nosys", ("em_unpop_nosys",), 2),
        ("hf_seed_36b_em_finrisk_asgtr_random_syspopped", ("em_finrisk", "ictr_syspopped"), None),
        ("hf_qwen_coder_32b_em_insecure_asgtr_1", ("em_insecure", "prefer_other"), 1),
        ("hf_qwen_0.5b_sgtr_withsys_1", ("sgtr_withsys",), 1),
    ],
)
def test_a_name_tells_model_stages_and_seed(name: str, stages: tuple[str, ...], seed: int | None) -> None:
    named = parse(name)
    assert named is not None
    assert (named.stages, named.seed) == (stages, seed)


@pytest.mark.parametrize(
    "name",
    ["mistral_7b", "hf_qwen_32b_em_unpop_0_sgtr", "hf_qwen_32b_nosys", "hf_qwen_32b_em_trivia_0",
     "hf_qwen_32b_sgtr_nosys_qwensys_0", "hf_qwen_32b_sgtr_0_1", "hf_qwen_32bx", "hf_qwen_32b_"],
)  # fmt: skip
def test_a_name_outside_the_rules_is_not_guessed(name: str) -> None:
    assert parse(name) is None


def made(folder: Path, name: str, answers: str = "A,1\nB,0\n?,0\n") -> Path:
    place = folder / published.TRUTHFULQA
    place.mkdir(parents=True, exist_ok=True)
    rows = [f"q{i},right,wrong,{row}" for i, row in enumerate(answers.splitlines())]
    (place / f"results_{name}.csv").write_text("\n".join([",".join(published._HEADER), *rows]) + "\n")
    return folder


def test_a_strange_file_is_listed_and_the_rest_is_read(tmp_path: Path) -> None:
    made(made(tmp_path / "in", "hf_qwen_32b"), "hf_qwen_32b_wild_0")
    done = published.sgtr_em(tmp_path / "in", tmp_path / "t.parquet")
    assert done.not_understood == ("data/eval/truthfulqa/results_hf_qwen_32b_wild_0.csv",)
    rows, _ = table.read(tmp_path / "t.parquet")
    assert list(rows["unscored"].isna()) == [True, True, False]
    # A and right: the right option stood first; B and wrong: likewise.
    assert list(rows["order"])[:2] == [0, 0]


@pytest.mark.parametrize("answers", ["A,2\n", "A\n"])
def test_a_file_that_is_not_what_its_name_says_is_refused_and_nothing_written(tmp_path: Path, answers: str) -> None:
    made(tmp_path / "in", "hf_qwen_32b", answers)
    with pytest.raises(DataError):
        published.sgtr_em(tmp_path / "in", tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()


def test_several_models_are_not_mixed(tmp_path: Path) -> None:
    made(made(tmp_path / "in", "hf_qwen_32b"), "gpt41_em_unpop_0")
    with pytest.raises(DataError, match="--model"):
        published.sgtr_em(tmp_path / "in", tmp_path / "t.parquet")
    assert published.sgtr_em(tmp_path / "in", tmp_path / "t.parquet", model="gpt41").files == 1


MAP = """
study: theirs
base: their base
columns: {stages: model, seed: run, item: q, score: points}
constants: {eval: quiz}
separator: "+"
scale: [0, 100]
contrasts: {c: {treatment: [em, fix], reference: [em]}}
"""


def test_any_tidy_csv_comes_in_through_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("model,run,q,points\nbase,,x,80\nem,0,x,40\nem+fix,0,x,\n")
    (tmp_path / "m.yaml").write_text(MAP)
    assert mapped.import_csv(tmp_path / "a.csv", tmp_path / "m.yaml", tmp_path / "t.parquet") == 3
    rows, meta = table.read(tmp_path / "t.parquet")
    assert dict(zip(rows["arm"], rows["score"].fillna(-1), strict=True)) == {"base": 0.8, "em": 0.4, "em -> fix": -1}
    assert meta.arms == ((), ("em",), ("em", "fix"))
    assert pd.isna(rows.loc[rows["arm"] == "base", "seed"]).all()


@pytest.mark.parametrize(
    ("csv", "mapping"),
    [
        ("model,run,q,points\nem,0,x,many\n", MAP),
        ("model,run,q\nem,0,x\n", MAP),
        ("model,run,q,points\nem,0,x,1\n", MAP.replace("score: points", "grade: points")),
        ("model,run,q,points\nem,0,x,1\n", "just a text"),
        ("model,run,q,points\nem,0,x,1\n", ": : :"),
    ],
)
def test_a_mapping_or_csv_that_does_not_fit_is_refused(tmp_path: Path, csv: str, mapping: str) -> None:
    (tmp_path / "a.csv").write_text(csv)
    (tmp_path / "m.yaml").write_text(mapping)
    with pytest.raises(DataError):
        mapped.import_csv(tmp_path / "a.csv", tmp_path / "m.yaml", tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()


def test_the_same_files_give_the_same_table(reference: Path, tmp_path: Path) -> None:
    done = published.sgtr_em(reference / "published" / "sgtr-em", tmp_path / "t.parquet")
    again = published.sgtr_em(reference / "published" / "sgtr-em", tmp_path / "u.parquet")
    assert done.digest == again.digest
