"""The tables of a benchmark file: a section is written anew when its part was run, and kept as it was when not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.rows import Row
from identity_em.provenance import commit, versions


@dataclass(frozen=True)
class Section:
    """A part's figures."""

    title: str
    rows: tuple[Row, ...]


def write(path: Path, sections: Iterable[Section], *, machine: str, order: Iterable[str] = ()) -> None:
    """Write the sections into `path` as they come, each with its day and commit, and print them.

    Args:
        order: Titles in the file's order; those of the file that are not named are dropped. Empty: as they come.
    """
    held = _read(path)
    for section in sections:
        print(f"\n{section.title}")
        for row in section.rows:
            print(f"{row.name:72} {row.value:12.3f}   {row.ratio:8.3g} x {row.against}", flush=True)
        held[section.title] = _table(section)
        titles = [title for title in (order or held) if title in held]
        body = [f"# Benchmarks\n\n{_HEAD} Machine: {machine}.\n", *(f"## {title}\n\n{held[title]}" for title in titles)]
        path.write_text("\n".join(body), encoding="utf-8")


_HEAD = "Ratios are to the row named beside them, measured in the same run; absolute figures are only for orientation."

# What is measured is what was there when this was imported, whatever is committed while it runs.
_COMMIT = str(commit().get("commit", "unknown"))


def _table(section: Section) -> str:
    built = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [f"{datetime.now(UTC):%Y-%m-%d}, commit {_COMMIT[:12]}; {built}.", ""]
    lines += ["| what | value | ratio | against |", "|---|---:|---:|---|"]
    lines += [f"| {row.name} | {row.value:.3f} | {row.ratio:.3g} | {row.against} |" for row in section.rows]
    return "\n".join(lines) + "\n"


def _read(path: Path) -> dict[str, str]:
    """The tables in the file by title."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = [part.partition("\n") for part in text.split("\n## ")[1:]]
    return {title: body.strip() + "\n" for title, _, body in parts}
