"""A script tag, a spreadsheet formula and a LaTeX command in any text of a table are inert in every output."""

import csv
import io
import re
import zlib
from pathlib import Path

import pytest
import synthetic

from identity_em import report
from identity_em.analysis import explain, table
from identity_em.cli_tables import lines
from identity_em.report import latex, pdf

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
FORMULA = '=HYPERLINK("http://example.org","x")'
LATEX = r"\input{/etc/passwd}\write18{ls} $x$ %{} ^^41"
TERMINAL = "\x1b[2J\x07"
HOSTILE = f"{FORMULA} {SCRIPT} {LATEX} {TERMINAL}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    arms = ((), ("em",), ("em", "sgtr"), ("em", "longer"))
    frame = synthetic.frame(arms=arms, items=4)
    frame["answer"] = HOSTILE
    frame["comparator"] = frame["comparator"].replace("florid", HOSTILE)
    frame.loc[frame["dimension"] == "money", "dimension"] = HOSTILE
    frame["item"] = HOSTILE + frame["item"]
    evals = {
        **synthetic.EVALS,
        "harmfulness": {"version": 1, "metrics": {"harm": {"title": HOSTILE, "better": "lower"}}},
    }
    meta = synthetic.meta(study=HOSTILE, base=HOSTILE, notes=[HOSTILE], arms=arms, checks=[], evals=evals)
    table.write(frame, meta, folder / "t.parquet")
    report.build(folder / "t.parquet", folder / "out")
    report.compare(folder / "t.parquet", folder / "t.parquet", folder / "two")
    return folder


@pytest.mark.parametrize("name", ["out", "two"])
def test_no_tag_of_a_text_is_a_tag_of_the_page(made: Path, name: str) -> None:
    for file in [made / name / "report.html", made / name / "report.md", *(made / name).rglob("*.svg")]:
        text = file.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "<img" not in text
    assert "&lt;script&gt;" in (made / name / "report.html").read_text(encoding="utf-8")


def test_what_models_wrote_is_shut_until_opened(made: Path) -> None:
    text = (made / "out" / "report.html").read_text(encoding="utf-8")
    section = text[text.index('<section id="answers"') :].split("</section>")[0]
    assert "<details>" in section
    assert "open" not in re.findall(r"<details[^>]*>", section)[0]
    assert section.index("<details>") < section.index("alert(1)")


def test_no_cell_of_the_data_is_a_formula(made: Path) -> None:
    for file in made.rglob("*.csv"):
        for row in csv.reader(io.StringIO(file.read_text(encoding="utf-8"))):
            assert not [cell for cell in row if cell[:1] in "=+@\t\r" and cell]
            assert not [cell for cell in row if cell[:1] == "-" and not re.fullmatch(r"-[\d.]+(e-?\d+)?", cell)]


def test_no_command_of_a_text_is_a_command_of_the_table(made: Path) -> None:
    for file in made.rglob("*.tex"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"\\(input|write)", text)
        assert "^^" not in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)
    assert any(r"\textbackslash{}input" in file.read_text(encoding="utf-8") for file in made.rglob("*.tex"))


def test_every_special_sign_of_latex_is_escaped() -> None:
    assert latex.inert(r"\a{b}$c&d#e%f_g~h^i") == (
        r"\textbackslash{}a\{b\}\$c\&d\#e\%f\_g\textasciitilde{}h\textasciicircum{}i"
    )


def test_a_drawing_in_pdf_holds_its_texts_as_data_only(made: Path) -> None:
    for file in made.rglob("*.pdf"):
        content = file.read_bytes()
        assert content.startswith(b"%PDF-1.4")
        assert not re.search(rb"/(JavaScript|JS|URI|Launch|OpenAction)", content)
        drawn = zlib.decompress(content.split(b"stream\n")[1].split(b"\nendstream")[0])
        assert b"(" not in drawn  # texts are hexadecimal, so nothing in them can end one


def test_the_same_drawing_gives_the_same_pdf(made: Path) -> None:
    for file in made.rglob("*.svg"):
        assert pdf.render(file.read_text(encoding="utf-8")) == file.with_suffix(".pdf").read_bytes()


def test_a_terminal_gets_no_control_character(made: Path) -> None:
    frame, meta = table.read(made / "t.parquet")
    cell = explain.name(("em",), table_stratum())
    assert not re.search(r"[\x00-\x1f\x7f]", "".join(lines(explain.explain(frame, meta, cell), 4)))


def table_stratum() -> explain.Stratum:
    return explain.Stratum(eval="truthfulqa", version="1", metric="p_correct", prompt="default")
