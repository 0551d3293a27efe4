"""`make bench`: ratios against the peers run beside us, printed and written to reports/bench.md."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from bench import building, closed_questions, reports, stages, storage
from bench.rows import Row
from identity_em.provenance import commit, versions

PARTS = {
    "Closed questions, CPU ms an item (one thread, same items, same model)": closed_questions.rows,
    "Training": stages.rows,
    "Storage": storage.rows,
    "Building and auditing datasets": building.rows,
    "Import and report": reports.rows,
}


def main() -> None:
    """Run the parts named on the command line; all of them by default, and then write what they gave."""
    at = str(commit().get("commit", "unknown"))
    lines = [
        "# Benchmarks",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, commit {at[:12]}. Ratios are to the peer run "
        "beside it on the same machine; absolute figures are of a shared two-core machine and only for orientation.",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in versions().items()) + ".",
    ]
    for title, part in PARTS.items():
        if len(sys.argv) > 1 and not any(word.lower() in title.lower() for word in sys.argv[1:]):
            continue
        lines += ["", f"## {title}", "", "| what | value | ratio | against |", "|---|---:|---:|---|"]
        for row in part():
            lines.append(_line(row))
            print(f"{row.name:60} {row.value:10.3f}   {row.ratio:8.3g} x {row.against}", flush=True)
        if len(sys.argv) == 1:
            Path("reports/bench.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(row: Row) -> str:
    return f"| {row.name} | {row.value:.3f} | {row.ratio:.3g} | {row.against} |"


if __name__ == "__main__":
    main()
