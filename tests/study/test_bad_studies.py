"""A study that cannot be used: one line with file and line, exit 2, nothing written."""

import subprocess
import sys
from pathlib import Path

import pytest

from identity_em.resources import resource

GOOD = resource("presets", "pocket-mini.yaml").read_text()

CASES = {
    "unknown stage in an arm": ("[em, sgtr]]", "[em, sgrt]]", "unknown stage 'sgrt'", "study.yaml:28"),
    "duplicate arm": ("arms: [[], [em],", "arms: [[], [em], [em],", "twice", "study.yaml:28"),
    "duplicate arm through orderings": ("contrasts:", "orderings: {of: em, with: [sgtr]}\ncontrasts:", "twice", None),
    "cycle": ("self: base", "self: [em, sgtr]", "a cycle", None),
    "YAML typo": ("stages:\n", "stages: [\n", "YAML that cannot be parsed", "study.yaml:"),
    "unknown key": ("seeds: [0]", "sedes: [0]", "unknown key 'sedes'", "study.yaml:8"),
    "key twice": ("seeds: [0]", "seeds: [0]\nseeds: [1]", "the key 'seeds' twice", "study.yaml:9"),
    "seed not an integer": ("seeds: [0]", "seeds: [0.5]", "0.5 for 'seeds.0'", "study.yaml:8"),
    "seed twice": ("seeds: [0]", "seeds: [0, 0]", "a seed twice", "study.yaml:8"),
    "unknown Axolotl key": (
        "em:   {dataset: bad_advice}", "em:   {dataset: bad_advice, settings: {learning_rat: 1}}", "learning_rat", None,
    ),
    "a key that the package owns": (
        "em:   {dataset: bad_advice}", "em:   {dataset: bad_advice, settings: {seed: 1}}", "seed", None,
    ),
    "missing file": ('"pocket:em.jsonl"', "nowhere.jsonl", "no file", None),
    "missing pocket file": ('"pocket:em.jsonl"', '"pocket:nothing.jsonl"', "nothing.jsonl", None),
    "unknown dataset": ("{dataset: bad_advice}", "{dataset: worse_advice}", "unknown dataset 'worse_advice'", None),
    "unknown recipe": ("recipe: sgtr", "recipe: sgrt", "unknown recipe 'sgrt'", None),
    "unknown recipe parameter": ("limit: 40", "limits: 40", "'limits'", None),
    "unknown corpus": ("corpus: train", "corpus: trian", "unknown corpus 'trian'", None),
    "unknown author": ("other: lumo", "other: luna", "unknown author 'luna'", None),
    "unknown wording": ("wording: pocket", "wording: packet", "packet", None),
    "unknown eval": ("- truthfulqa:", "- truthfulqq:", "truthfulqq", None),
    "unknown eval parameter": ("limit: 24", "limt: 24", "'limt'", None),
    "unknown sampling setting": ("{temperature: 0.0, max_new_tokens: 24}", "{temprature: 0.0}", "sampling", None),
    "sampling out of bounds": ("{temperature: 0.0, max_new_tokens: 24}", "{n: 0}", "sampling", None),
    "an author of nobody": ("{corpus: eval, limit: 12}", "{corpus: eval, authors: [[sgtr]]}", "unknown author", None),
    "unknown judge": ("judge: pocket", "judge: nobody", "nobody", None),
    "unknown base": ("base: pocket,", "base: pocket-9,", "pocket-9", "study.yaml:7"),
    "unknown config": ("config: pocket}", "config: packet}", "packet", None),
    "contrast of an arm that is not there": ("{treatment: [em], ", "{treatment: [sgtr], ", "does not train", None),
}  # fmt: skip


def identity_em(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "identity_em", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", CASES)
def test_a_bad_study_gets_one_line_exit_2_and_nothing_is_written(case: str, tmp_path: Path) -> None:
    old, new, said, place = CASES[case]
    assert old in GOOD
    (tmp_path / "study.yaml").write_text(GOOD.replace(old, new, 1))
    done = identity_em("run", "study.yaml", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert said in done.stderr
    assert "wanted" in done.stderr
    if place:
        assert place in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["study.yaml"]


def rows_study(tmp_path: Path, rows: str) -> None:
    (tmp_path / "rows.jsonl").write_text(rows)
    (tmp_path / "study.yaml").write_text(GOOD.replace('"pocket:em.jsonl"', "rows.jsonl"))


def test_a_malformed_row_is_named_by_its_number_before_anything_is_written(tmp_path: Path) -> None:
    good = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
    rows_study(tmp_path, good * 2 + '{"messages": [}\n' + good)
    done = identity_em("run", "study.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "rows.jsonl:3" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "store").exists()


def test_an_overlong_row_is_named_before_anything_is_written(tmp_path: Path) -> None:
    good = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
    rows_study(tmp_path, good + good.replace('"q"', '"' + "word %^& " * 3000 + '"'))
    done = identity_em("run", "study.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "rows.jsonl:2" in done.stderr
    assert "longer than sequence_len 2048" in done.stderr
    assert not (tmp_path / "store").exists()


def test_summaries_that_lack_articles_are_refused_with_their_number(tmp_path: Path) -> None:
    (tmp_path / "few.json").write_text('{"a-0": "one"}')
    (tmp_path / "study.yaml").write_text(GOOD.replace("pocket:summaries_train_lumo.json", "few.json"))
    done = identity_em("run", "study.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "without a summary" in done.stderr
    assert not (tmp_path / "store").exists()


def test_no_trainer_environment_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_EM_TRAINER", str(tmp_path / "nowhere"))
    done = identity_em("run", "pocket-mini", cwd=tmp_path)
    assert done.returncode == 2
    assert "identity-em setup trainer" in done.stderr
    assert list(tmp_path.iterdir()) == []
