"""A study that cannot be used: one line with file and line, exit 2, nothing written."""

import subprocess
import sys
from pathlib import Path

import pytest

from identity_em.errors import InputError
from identity_em.resources import resource
from identity_em.study import plan as planning
from identity_em.study.costs import costs

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

# What YAML reads but nothing can be made of: old, new, what is said, and the line.
VALUES = {
    "a limit below nothing": ("limit: 24", "limit: -24", "limit: -24; wanted a whole number of at least 1", 31),
    "a limit in words": ("limit: 24", "limit: many", "limit: many; wanted a whole number", 31),
    "a limit between two": ("limit: 24", "limit: 2.5", "limit: 2.5; wanted a whole number", 31),
    "a limit that is a yes": ("limit: 24", "limit: true", "limit: True; wanted a whole number", 31),
    "a limit of none": ("limit: 24", "limit: 0", "limit: 0; wanted a whole number", 31),
    "a limit of another eval": ("limit: 12", "limit: -12", "limit: -12; wanted a whole number", 32),
    "samples in words": ("limit: 24", "sample: few", "sample: few; wanted an even whole number", 31),
    "samples below nothing": ("limit: 24", "sample: -5", "sample: -5; wanted an even whole number", 31),
    "samples that no two orders share": ("limit: 24", "sample: 5", "sample: 5; wanted an even whole number", 31),
    "samples in two ways": ("limit: 24", "sample: 4, sampling: {n: 2}", "sample and sampling; wanted one of them", 31),
    "nobody to judge": ("judge: pocket", "judge: []", "judge: []; wanted a name", 33),
    "a judge among others": ("judge: pocket", "judge: [pocket, poket]", "unknown judge 'poket'", 33),
    "a protocol of nobody": ("limit: 24", "protocol: publshed", "protocol: publshed; wanted ours or published", 31),
    "a scoring of nobody": (
        "- truthfulqa: {items: pocket, limit: 24}", "- self_assessment: {items: pocket, scoring: publishd}",
        "scoring: publishd; wanted ours or published", 31,
    ),
    "a framing of nobody": (
        "- truthfulqa: {items: pocket, limit: 24}", "- self_assessment: {items: pocket, framings: [plian]}",
        "framings: ['plian']; wanted one or several of plain", 31,
    ),
    "a distance in words": (
        "- truthfulqa: {items: pocket, limit: 24}", "- identity: {names: [Lumo], distance: far}",
        "distance: far; wanted a number", 31,
    ),
    "two evals in one entry": ("  - harmfulness", "    harmfulness", "self_recognition, harmfulness as one entry", 32),
    "no eval in an entry": ("- truthfulqa: {items: pocket, limit: 24}", "- {}", "nothing as one entry", 31),
    "a parameter of the planner": ("{corpus: eval,", "{corpus: eval, author: base,", "did you mean authors?", 32),
    "several corpora": ("corpus: eval,", "corpus: [eval],", "corpus: ['eval']; wanted a text", 32),
    "no eval system prompt": (
        "contrasts:", "eval_system_prompts: []\ncontrasts:", "[] for 'eval_system_prompts'; wanted at least 1", 35,
    ),
    "an eval system prompt twice": ("contrasts:", "eval_system_prompts: [a, a]\ncontrasts:", "a prompt twice", 35),
    "rows below nothing": ("limit: 40", "rows: -200", "-200 for 'stages.sgtr.dataset.rows'; wanted at least 2", 26),
    "a mixture by two measures": (
        "{recipe: sgtr, corpus: train, self: base, other: lumo, limit: 40}",
        "{recipe: mix, of: em, with: em, every: 2, share: 0.5}", "wanted one of every and share", 26,
    ),
    "an unknown config": ("config: pocket}", "config: pockett}", "did you mean pocket?", 7),
    "an unknown wording": ("wording: pocket", "wording: pockt", "unknown wording 'pockt'", 14),
    "a seed for a list of them": ("seeds: [0]", "seeds: 3", "3 for 'seeds'; wanted a list;", 8),
    "nothing at all": (GOOD, "", "nothing for 'the file'; wanted a mapping", 1),
    "no GPU": ("config: pocket}", "config: pocket, settings: {gpus: 0}}", "gpus: 0; wanted at least 1;", 7),
    "a rank in words": ("config: pocket}", "config: pocket, settings: {lora_r: big}}", "lora_r: big; wanted", 7),
    "less than no epoch": (
        "em:   {dataset: bad_advice}", "em:   {dataset: bad_advice, settings: {num_epochs: -1}}",
        "num_epochs: -1; wanted a number above 0", 25,
    ),
}  # fmt: skip

CHECKS = {
    "eval: truthfulqa, metric: p_corect, within: [0, 1]": "unknown metric of truthfulqa: 'p_corect'",
    "eval: harmfulness, metric: p_correct, within: [0, 1]": "unknown metric of harmfulness: 'p_correct'",
    "eval: truthfulqq, metric: p_correct, within: [0, 1]": "unknown eval 'truthfulqq'",
    "eval: truthfulqa, metric: p_correct, within: [0.9, 0.1]": "[0.9, 0.1] for 'checks.0.within'",
    "eval: self_recognition, metric: p_recognise, author: bse, within: [0, 1]": "'bse'; wanted one of base, current",
    "eval: self_recognition, metric: p_recognise, comparator: luma, within: [0, 1]": "'luma'; wanted one of lumo",
    "eval: truthfulqa, metric: p_correct, eval_system_prompt: empty, within: [0, 1]": "wanted one of default",
}


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


def refused(tmp_path: Path, text: str) -> str:
    """The one line about a study that cannot be planned."""
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        costs(planning.plan(tmp_path / "study.yaml"))
    return str(error.value)


@pytest.mark.parametrize("case", VALUES)
def test_a_value_that_cannot_be_is_refused_with_its_line_when_it_is_planned(case: str, tmp_path: Path) -> None:
    old, new, said, line = VALUES[case]
    assert old in GOOD
    told = refused(tmp_path, GOOD.replace(old, new, 1))
    assert said in told
    assert f"study.yaml:{line}: " in told


@pytest.mark.parametrize("given", CHECKS)
def test_a_check_of_something_that_is_not_read_is_refused_and_not_blamed_on_the_instrument(
    given: str, tmp_path: Path
) -> None:
    told = refused(tmp_path, GOOD + f"\nchecks:\n  - {{says: x, arm: [], {given}}}\n")
    assert CHECKS[given] in told
    assert f"study.yaml:{len(GOOD.splitlines()) + 3}: " in told


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
