"""Tables are typeset by a real LaTeX, within the page."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import synthetic

from identity_em import report
from identity_em.analysis import table

PAGE = r"\documentclass{article}\usepackage[margin=2cm]{geometry}\usepackage[T1]{fontenc}"
NEEDS = r"\usepackage{array,booktabs,longtable}"
# A point is a third of a millimetre; a word that cannot break may reach into the gap between columns.
REACH = 12


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_every_table_of_a_report_compiles_and_keeps_to_the_page(tmp_path: Path) -> None:
    table.write(synthetic.frame(), synthetic.meta(), tmp_path / "t.parquet")
    report.build(tmp_path / "t.parquet", tmp_path / "out")
    tables = sorted((tmp_path / "out" / "tables").glob("*.tex"))
    body = "\n".join(rf"\input{{{file}}}" for file in tables)
    (tmp_path / "all.tex").write_text(f"{PAGE}{NEEDS}\\begin{{document}}\n{body}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout[-2000:]
    assert len(tables) > 5
    over = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", said.stdout)]
    assert max(over, default=0) < REACH


def test_a_report_leaves_no_table_of_an_earlier_one_and_no_file_of_others_is_touched(tmp_path: Path) -> None:
    table.write(synthetic.frame(), synthetic.meta(), tmp_path / "t.parquet")
    out = tmp_path / "out"
    report.build(tmp_path / "t.parquet", out)
    before = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    for name in ("tables/99-old.tex", "figures/old.svg", "figures/old.pdf", "figures/old.csv"):
        (out / name).write_text("old")
    for name in ("tables/mine.tex", "figures/mine.svg", "notes.md"):
        (out / name).write_text("mine")
    report.build(tmp_path / "t.parquet", out)
    after = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    assert after - before == {Path("tables/mine.tex"), Path("figures/mine.svg"), Path("notes.md")}
