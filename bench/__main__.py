"""`make bench`: ratios against the peers run beside us, printed and written to reports/bench.md.

`python -m bench WORD ...` runs the parts whose title holds one of the words and leaves the others' figures alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench import battery, building, closed_questions, matrix, recognition, reports, scheduling, stages, storage
from bench.report import Section, write

PARTS = {
    "Closed questions, CPU ms an item (one thread, same items, same model)": closed_questions.rows,
    "Recognition questions, CPU ms a question (one thread, same items, same model)": recognition.rows,
    "The battery over one checkpoint of the pocket world (one process, one thread)": battery.rows,
    "Training": stages.rows,
    "The matrix": matrix.rows,
    "Planning and scheduling": scheduling.rows,
    "Storage": storage.rows,
    "Building and auditing datasets": building.rows,
    "Import and report": reports.rows,
}


def main() -> None:
    """Run the parts named on the command line; all of them by default."""
    words = [word.lower() for word in sys.argv[1:]]
    chosen = {title: part for title, part in PARTS.items() if not words or any(w in title.lower() for w in words)}
    sections = (Section(title, tuple(part())) for title, part in chosen.items())
    write(Path("reports/bench.md"), sections, machine="a shared two-core virtual machine", order=PARTS)


if __name__ == "__main__":
    main()
