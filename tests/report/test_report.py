"""A report is computed from its table alone, the same each time, and no text in the table acts in it."""

import csv
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import synthetic

from identity_em import report
from identity_em.analysis import table
from identity_em.errors import DamagedArtefact

HOSTILE = "<script>alert(1)</script>|=1+1 [x](javascript:1) `\\"


def build(folder: Path, frame: pd.DataFrame, meta: table.Meta) -> Path:
    source = folder / "t.parquet"
    table.write(frame, meta, source)
    return report.build(source, folder / "out")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frame = synthetic.frame(items=8, prompts=("default", "empty"))
    return build(tmp_path_factory.mktemp("report"), frame, synthetic.meta())


@pytest.fixture(scope="module")
def page(made: Path) -> str:
    return made.read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Collects tags, and whether they close in order."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_asks_for_nothing_outside_itself(page: str) -> None:
    tags = Tags(page)
    assert tags.open == []
    names = {name for name, _ in tags.found}
    assert not names & {"script", "link", "img", "iframe", "object"}
    for _, attributes in tags.found:
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "#").startswith("#")
    assert "url(" not in page
    assert "@import" not in page


def test_every_figure_and_table_has_a_name_for_who_cannot_see_it(page: str) -> None:
    tags = Tags(page).found
    drawings = [attributes for name, attributes in tags if name == "svg"]
    idents = {attributes.get("id") for _, attributes in tags}
    assert len(drawings) == 9
    assert all(a["role"] == "img" and a["aria-labelledby"] in idents for a in drawings)
    assert page.count("<figcaption>") == len(drawings)
    assert len([a for name, a in tags if name == "div" and a.get("aria-label")]) >= len(drawings)
    assert [name for name, _ in tags if name in ("h1", "h2", "h3")][:2] == ["h1", "h2"]
    idents_given = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(idents_given) == len(set(idents_given))


def test_the_report_has_its_sections_in_order(page: str) -> None:
    found = re.findall(r'<h2 id="(.*?)-title">', page)
    wanted = (
        "summary question instrument manipulation contrasts prompts recognition arms battery persona seeds validity "
        "provenance"
    )
    assert found == wanted.split()


def test_the_pocket_note_stands_above_everything(page: str) -> None:
    note = page.index("The pocket world shows that the instrument works")
    assert page.index("<h1>") < note < page.index("<h2")


def test_the_same_table_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    again = report.build(made.parents[1] / "t.parquet", tmp_path)
    for file in sorted(path for path in made.parent.rglob("*") if path.is_file()):
        assert (tmp_path / file.relative_to(made.parent)).read_bytes() == file.read_bytes()
    assert again.name == "report.html"


def test_every_figure_lies_beside_as_svg_with_its_data(made: Path, page: str) -> None:
    figures = made.parent / "figures"
    assert {path.stem for path in figures.glob("*.svg")} == {path.stem for path in figures.glob("*.csv")}
    for path in figures.glob("*.svg"):
        ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert f"figures/{path.stem}.csv" in page
    rows = list(csv.DictReader(io.StringIO((figures / "effects.csv").read_text(encoding="utf-8"))))
    means = [row for row in rows if row["seed"] == "mean" and row["metric"] == "harm"]
    assert [row["arm"] for row in means] == [table.arm_name(arm) for arm in synthetic.ARMS]
    assert means[0]["rests_on"] == "8 items, one run"
    assert means[1]["rests_on"] == "3 seeds × 8 items"


def test_numbers_stand_with_interval_ground_unscored_share_and_order_bias(made: Path) -> None:
    text = (made.parent / "report.md").read_text(encoding="utf-8")
    heading = next(line for line in text.splitlines() if line.startswith("| Arm | Mean |"))
    for column in ("95 % interval", "Interval over", "Scored", "Unscored", "Order bias", "Option mass"):
        assert column in heading
    assert re.search(r"\| em \| 0\.\d\d \| \\\[0\.\d\d, 0\.\d\d\\\] \| 3 seeds × 8 items \|", text)
    assert re.search(r"\| base \| 0\.\d\d \| \\\[0\.\d\d, 0\.\d\d\\\] \| 8 items, one run \|", text)


def test_only_calibrated_words_are_used(page: str) -> None:
    assert "inconclusive" in page
    assert "significant" not in page
    assert "proves" not in page
    assert page.count("no effect") == page.count("not the same as no effect")


def test_recognition_stands_beside_its_shortcut_for_each_comparator_and_author(made: Path) -> None:
    text = (made.parent / "report.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith(("| florid |", "| plain |"))]
    assert [row.split(" | ")[:3] for row in rows] == [
        [f"| {comparator}", author, arm]
        for comparator in ("florid", "plain")
        for author in ("base", "current")
        for arm in ("em", "em\\_empty")
    ]
    assert all("0.75 | 0.75 | the shorter is own" in row for row in rows)


def test_no_text_of_the_table_acts_in_the_page_the_markdown_or_the_data(tmp_path: Path) -> None:
    frame = synthetic.frame(arms=((), ("em",)), items=3).replace("florid", HOSTILE)
    frame.loc[frame["dimension"] == "money", "dimension"] = HOSTILE
    frame["answer"] = HOSTILE
    meta = synthetic.meta(study=HOSTILE, base=HOSTILE, notes=[HOSTILE], arms=[[], ["em"]], checks=[])
    made = build(tmp_path, frame, meta)
    page = made.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert Tags(page).open == []
    text = (made.parent / "report.md").read_text(encoding="utf-8")
    assert "<script" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    for path in [*(made.parent / "figures").glob("*.svg"), *(made.parent / "figures").glob("*.csv")]:
        found = path.read_text(encoding="utf-8")
        assert "<script" not in found or path.suffix == ".csv"
        assert not re.search(r"(^|,)\"?=1", found, re.MULTILINE)


def test_a_damaged_table_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    source = tmp_path / "t.parquet"
    table.write(synthetic.frame(arms=((), ("em",)), items=2), synthetic.meta(), source)
    source.write_bytes(source.read_bytes()[:300])
    with pytest.raises(DamagedArtefact):
        report.build(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_empty_table_and_a_study_of_one_seed_give_a_report(tmp_path: Path) -> None:
    empty = build(tmp_path / "a", pd.DataFrame(columns=list(table.COLUMNS)), synthetic.small())
    assert "What was asked" in empty.read_text(encoding="utf-8")
    arms = ((), ("em",), ("em", "sgtr"))
    mini = build(tmp_path / "b", synthetic.frame(arms=arms, seeds=(0,), items=4), synthetic.meta(seeds=[0], arms=arms))
    text = mini.read_text(encoding="utf-8")
    assert "One training seed" in text
    assert "says nothing about other training runs" in text
    assert "not measured" in text


def test_an_intervention_is_not_interpreted_where_em_was_not_shown_to_act(tmp_path: Path) -> None:
    rows = synthetic.answers((), None, [0.5, 0.6, 0.4])
    for seed, level in enumerate((0.5, 0.45, 0.55)):
        for arm, shift in ((("em",), 0.0), (("em", "sgtr"), -0.3), (("em", "longer"), 0.0)):
            rows += synthetic.answers(arm, seed, [level + shift + 0.001 * seed] * 3)
    text = build(tmp_path, pd.DataFrame(rows), synthetic.small()).read_text(encoding="utf-8")
    assert "M not interpreted (em not shown to differ from base)" in text


def test_a_report_needs_neither_torch_nor_transformers() -> None:
    blocked = "import sys\nfor name in ('torch', 'transformers', 'inspect_ai', 'peft'): sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{blocked}from identity_em.report import build"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def unread(folder: Path, lost: int) -> str:
    rows = synthetic.answers((), None, [0.1, 0.2] * 5)
    for seed in range(3):
        rows += synthetic.answers(("em",), seed, [*[0.6, 0.7 + 0.01 * seed] * 5][lost:] + [None] * lost)
    return build(folder, pd.DataFrame(rows), synthetic.small()).read_text(encoding="utf-8")


def test_an_effect_on_answers_that_were_often_unread_says_how_often(tmp_path: Path) -> None:
    text = unread(tmp_path, 1)
    assert re.search(r"em against base\.</strong> M higher by .* \(up to 10.0 % unscored\)", text)


def test_a_cell_past_the_bound_is_not_compared_and_says_so_where_the_number_would_stand(tmp_path: Path) -> None:
    text = unread(tmp_path, 5)
    assert re.search(r"em against base\.</strong> M not compared: 50.0 % of em&#39;s answers could not be read", text)
    assert "higher by" not in text
