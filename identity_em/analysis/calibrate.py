"""Run the calibration and write it: `python -m identity_em.analysis.calibrate FOLDER` (`make calibration`)."""

import sys
from pathlib import Path

from identity_em.analysis import calibration
from identity_em.analysis.calibration import Result
from identity_em.errors import GateFailed

_HEAD = """# Calibration of the statistics

{replicates:,} simulated comparisons of two arms that do not differ, for each layout, through the functions that make
the reports (`make calibration`; the same call gives the same figures). Right-or-wrong answers; items differ with a
standard deviation of .2 around .7, seeds with the standard deviation in the table, as crossed random factors.

- **coverage**: share of 95 % intervals that hold the true difference, with the exact 99 % interval of that share.
- **width**: mean width of the intervals; where coverage is above 95 %, this is its price.
- **family-wise**: share of families of five null contrasts against one reference with any claim after Holm.
- **false equivalence**: share called equivalent where the true difference is the margin (three seed SDs, at least .06).

Gates, for roughly normal seeds with n = 5 and 10: the interval of the coverage reaches 95 %, and neither error rate
is shown to be above 5 % (exact 99 % intervals). **{passed} of {gated} gated layouts pass.**

"""
_TABLE = (
    "| seeds | items | seed SD | layout | coverage (99 % interval) | width | family-wise | false equivalence | gate |\n"
    "|---:|---:|---:|---|---|---:|---:|---:|---|\n"
)
_BESIDE = """
## Beside the gates: three seeds, skewed seeds, seeds in two groups

Not gated. Skewed: one minus an exponential. In two groups: a fifth of seeds two SD below, the rest half an SD above.
A report says of every study with fewer than five seeds that its intervals are wide and its families less well guarded;
seeds that stand apart are named in the validity panel as soon as their distance cannot be chance.

"""
_FEW = "gate of five and ten seeds would be missed"


def write(folder: Path) -> bool:
    """Write `calibration.md` and `calibration.csv`; returns whether every gated layout passes."""
    results = [calibration.run(layout) for layout in calibration.layouts()]
    gated = [result for result in results if result.layout.gated]
    passed = sum(result.passes for result in gated)
    head = _HEAD.format(replicates=calibration.REPLICATES, passed=passed, gated=len(gated))
    beside = [result for result in results if not result.layout.gated]
    text = head + _TABLE + "".join(map(_row, gated)) + _BESIDE + _TABLE + "".join(map(_row, beside))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "calibration.md").write_text(text, encoding="utf-8")
    (folder / "calibration.csv").write_text(_csv(results), encoding="utf-8")
    return passed == len(gated)


def _row(result: Result) -> str:
    at = result.layout
    shape = "" if at.shape == "normal" else f"{at.shape} seeds, "
    family = "" if result.family is None else f"{result.family:.3f}"
    gate = ("passes" if result.passes else "**fails**") if at.gated else "" if result.passes else _FEW
    coverage = f"{result.coverage:.3f} ({result.coverage_low:.3f}, {result.coverage_high:.3f})"
    cells = (at.seeds, at.items, f"{at.seed_sd:.2f}", shape + at.words, coverage, f"{result.width:.3f}", family)
    return "| " + " | ".join(map(str, (*cells, f"{result.equivalence:.3f}", gate))) + " |\n"


def _csv(results: list[Result]) -> str:
    lines = [
        "seeds,items,seed_sd,shape,shared_items,shared_seeds,lost,missing,coverage,width,family,equivalence,passes"
    ]
    for result in results:
        at = result.layout
        layout = (at.seeds, at.items, at.seed_sd, at.shape, at.shared_items, at.shared_seeds, at.lost, at.missing)
        figures = (result.coverage, f"{result.width:.5f}", result.family, result.equivalence, result.passes)
        lines.append(",".join("" if value is None else str(value) for value in (*layout, *figures)))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if not write(Path(sys.argv[1])):
        raise GateFailed("calibration: a gated layout fails; see calibration.md")
