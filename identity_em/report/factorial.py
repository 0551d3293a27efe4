"""What a system prompt does to an effect: differences of differences, and how many seeds an answer would need."""

from typing import Final

from identity_em.analysis import contrasts, families, mixed
from identity_em.analysis.contrasts import Difference, Finding
from identity_em.analysis.stats import summarise
from identity_em.report import tables, words
from identity_em.report.content import Table
from identity_em.report.view import View

WORDS: Final = (
    "Does an intervention do more when it is trained under another system prompt? Each line is a difference of "
    "differences: the excess over control under the second prompt less that under the first, paired by seed and item."
)


def trained(view: View) -> Table:
    """Contrasts that differ only in the prompt trained under: what the second finds less what the first finds."""
    rows = []
    for stratum in view.outcomes:
        findings = {f.name: f for f in view.of(stratum)}
        for one, two in contrasts.twins(view.readings):
            if one in findings and two in findings:
                both = (findings[one], findings[two])
                found = contrasts.interaction(view.readings, both[0].contrast, both[1].contrast, stratum)
                said = [words.verdict(f.headline) for f in both]
                rows.append((one, two, words.title(view.meta, stratum), *said, words.verdict(found)))
    columns = ("First", "Second", "Reading", "First finds", "Second finds", "Second less first")
    title = "Trained under another system prompt"
    return Table(title=title, columns=columns, rows=tuple(rows), words=frozenset(range(6)), folded=len(rows) > 16)


def crossed(view: View) -> Table:
    """Every arm by the system prompts that it was trained under and the one it is asked under."""
    rows = []
    for stratum in (s for s in view.outcomes if view.meta.metric(s.eval, s.metric).better != "none"):
        under = [stratum.model_copy(update={"prompt": prompt}) for prompt in view.readings.prompts]
        for arm in (arm for arm in view.arms if any(view.readings.keys(arm, s) for s in under)):
            trained = [view.meta.stages[name].system_prompt for name in arm if name in view.meta.stages]
            cells = [tables.worth(view, arm, s) for s in under]
            rows.append((words.title(view.meta, stratum), words.arm(arm), " → ".join(trained) or words.ABSENT, *cells))
    columns = ("Reading", "Arm", "Trained under", *(f"Asked under {prompt}" for prompt in view.readings.prompts))
    title = "System prompt in training by system prompt at evaluation"
    return Table(title=title, columns=columns, rows=tuple(rows), words=frozenset({0, 1, 2}), folded=len(rows) > 16)


def asked(view: View, others: tuple[str, ...]) -> Table:
    """Each treatment's effect under another eval prompt less its effect under the first."""
    rows = []
    for stratum in view.outcomes:
        for finding in view.of(stratum):
            for other in others:
                found = _under(view, finding, other)
                if found.estimate.mean is not None:
                    rows.append((finding.name, words.title(view.meta, stratum), other, words.verdict(found)))
    columns = ("Contrast", "Reading", "Asked under", f"Effect there less effect under {view.prompt}")
    title = "Difference of differences: the contrast under each eval prompt"
    return Table(title=title, columns=columns, rows=tuple(rows), words=frozenset(range(4)), folded=len(rows) > 12)


def _under(view: View, finding: Finding, other: str) -> Difference:
    there = finding.stratum.model_copy(update={"prompt": other})
    (here_means, here), (means, items) = (
        contrasts.beyond(view.readings, finding.contrast, s) for s in (finding.stratum, there)
    )
    seeds = [seed for seed in items.columns if seed in here.columns]
    change = items.reindex(columns=seeds) - here.reindex(columns=seeds)
    return Difference(estimate=summarise((means - here_means).dropna(), change, difference=True))


def power(view: View) -> Table:
    """For each contrast: what these seeds could have found, and how many would find the margin or the effect seen."""
    rows = []
    for finding in view.findings:
        estimate, margin = finding.headline.shown, finding.headline.margin
        if estimate.of_seeds is None or estimate.of_items is None or estimate.mean is None:
            continue
        spread = {"of_seeds": estimate.of_seeds, "of_items": estimate.of_items}
        effect = margin or abs(estimate.mean)
        chance = families.power(effect, seeds=estimate.n, **spread)
        needed = families.seeds_needed(effect, estimate)
        said = "more items" if needed is None else str(needed)
        rows.append((finding.name, words.title(view.meta, finding.stratum), words.small(estimate.of_seeds),
                     words.small(effect), words.percent(chance), said))  # fmt: skip
    columns = ("Contrast", "Reading", "Seed SD", "Effect", "Power with these seeds", "Seeds for 80 %")
    title = "Power: for the stated margin, or where there is none for the effect seen"
    return Table(title=title, columns=columns, rows=tuple(rows), words=frozenset({0, 1}), folded=True)


def cross_checked(view: View) -> Table | None:
    """Each headline beside a mixed model's, where it was asked for (a fit takes about a second)."""
    if not view.cross_check:
        return None
    rows = []
    for finding in view.findings:
        estimate = finding.headline.shown
        other = mixed.cross_check(contrasts.beyond(view.readings, finding.contrast, finding.stratum)[1])
        if other is None or estimate.se is None:
            continue
        ours = (words.small(estimate.mean), words.small(estimate.se))
        theirs = (words.small(other.mean), words.small(other.se), "" if other.converged else "did not converge")
        rows.append((finding.name, words.title(view.meta, finding.stratum), *ours, *theirs))
    columns = ("Contrast", "Reading", "Ours", "Error", "Mixed model", "Its error", "Remark")
    title = "The same differences by a mixed model (statsmodels, items in blocks)"
    return Table(title=title, columns=columns, rows=tuple(rows), words=frozenset({0, 1, 6}), folded=True)
