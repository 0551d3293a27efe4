"""The GPU benchmark runs whole, on tiny shapes, where there is no GPU."""

from pathlib import Path

import pytest
import torch

from bench import gpu, recognition, report, shapes
from bench.rows import Row
from identity_em.chat import prompts_ids
from identity_em.models.resident import Resident
from identity_em.training.environment import find_trainer


@pytest.fixture(params=[pytest.param("fp32", marks=pytest.mark.long), "bf16"])
def sections(request: pytest.FixtureRequest) -> list[report.Section]:
    torch.set_num_threads(1)
    if find_trainer() is None:
        pytest.skip("no trainer environment: `identity-em setup trainer`")
    sizes = {"prompts": 6, "count": 3, "rank": 4, "looped": 2, "rows": 32, "row_tokens": 256}
    return gpu.run(shapes.TINY, device="cpu", precision=request.param, **sizes)


@pytest.mark.axolotl
@pytest.mark.slow
def test_every_part_of_the_gpu_benchmark_gives_figures(sections: list[report.Section], tmp_path: Path) -> None:
    assert len(sections) == len(gpu.PARTS)
    rows = {row.name: row for section in sections for row in section.rows}
    assert all(row.value > 0 and row.ratio > 0 for row in rows.values())
    assert rows["prompt tokens over tokens read"].value > 1.5
    assert rows["tokens a second, our trainer"].ratio > 0.2
    assert "peak memory of a training, GiB" not in rows, "there is no GPU to ask"
    report.write(tmp_path / "b.md", sections, machine="test")
    assert all(f"| {name} |" in (tmp_path / "b.md").read_text() for name in rows)


def test_without_cuda_it_says_so_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main()
    out = capsys.readouterr().out
    assert "no CUDA" in out
    assert out.count("\n") == 1


def test_a_random_model_answers_with_both_options_and_nothing_else(tmp_path: Path) -> None:
    base = shapes.write(shapes.TINY, tmp_path / "m", device="cpu", precision="fp32", options=("1", "2"))
    resident = Resident(base, device="cpu")
    answers = resident.probabilities(recognition.questions(resident.tokenizer, 2))
    assert all(answer.text is None for answer in answers)


def test_the_saving_allowed_counts_each_article_once(tmp_path: Path) -> None:
    base = shapes.write(shapes.TINY, tmp_path / "m", device="cpu", precision="fp32", options=("1", "2"))
    tokenizer = Resident(base, device="cpu").tokenizer
    prompts = prompts_ids(tokenizer, [q.messages for q in recognition.questions(tokenizer, 3)])
    assert 2.5 < recognition.allowed(prompts) < 4
    assert recognition.allowed(prompts[::8]) < 1.2


def test_a_part_run_alone_leaves_the_others_figures_as_they_were(tmp_path: Path) -> None:
    file, one, other = tmp_path / "b.md", Row("x", 1.0, 1.0, "x"), Row("y", 2.0, 2.0, "x")
    report.write(file, [report.Section("A", (one,)), report.Section("B", (one,))], machine="m", order=("A", "B"))
    report.write(file, [report.Section("B", (other,))], machine="m", order=("A", "B"))
    text = file.read_text()
    assert text.count("| x | 1.000 |") == 1
    assert text.index("## A") < text.index("## B") < text.index("| y | 2.000 |")


def test_as_many_questions_are_asked_as_are_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "ARTICLE_TOKENS", 60)
    assert len(recognition.questions(lambda text: {"input_ids": text.split()}, 120, comparators=1)) == 240
