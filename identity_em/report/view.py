"""The choices that every section of a report shares: which readings are outcomes, which prompt is read first."""

from functools import cached_property

import pandas as pd

from identity_em.analysis import artefacts, checks, contrasts, validity
from identity_em.analysis.meta import Meta, Stages
from identity_em.analysis.readings import Readings, Stratum


class View:
    """A table's readings with everything computed from them, each once.

    Attributes:
        prompt: The eval system prompt that is read first; the others have a section of their own.
        digest: SHA-256 of the table's file.
        cross_check: Whether a mixed model stands beside the contrasts.
    """

    def __init__(self, frame: pd.DataFrame, meta: Meta, *, digest: str = "", cross_check: bool = False) -> None:
        self.meta, self.digest, self.rows = meta, digest, len(frame)
        self.cross_check = cross_check
        self.readings = Readings(frame, meta)
        self.prompt = self.readings.prompts[0] if self.readings.prompts else ""

    @property
    def arms(self) -> tuple[Stages, ...]:
        """The arms with rows, in declared order."""
        return self.readings.arms

    @cached_property
    def outcomes(self) -> list[Stratum]:
        """Readings that are neither recognition nor a shortcut, under the first prompt."""
        return [s for s in self.readings.strata if not s.author and not s.shortcut and s.prompt == self.prompt]

    @cached_property
    def asked(self) -> list[Stratum]:
        """Every reading for which a model was asked."""
        return [s for s in self.readings.strata if not s.shortcut]

    @cached_property
    def checks(self) -> list[checks.CheckResult]:
        """The declared checks."""
        return [checks.run(self.readings, check) for check in self.meta.checks]

    @cached_property
    def findings(self) -> list[contrasts.Finding]:
        """Every declared contrast in every reading, corrected for how many there are."""
        found = (contrasts.find(self.readings, name, s) for s in self.asked for name in self.meta.contrasts)
        return contrasts.corrected([f for f in found if f.treatment.direction != "not measured"])

    @cached_property
    def cells(self) -> tuple[validity.Cell, ...]:
        """The quality of every cell."""
        return validity.cells(self.readings)

    @cached_property
    def notices(self) -> list[artefacts.Notice]:
        """What can look like an effect and is none."""
        return artefacts.found(self.readings, self.findings)

    @cached_property
    def manipulations(self) -> dict[tuple[Stages, Stratum], contrasts.Difference]:
        """Every reference less the base, in every outcome."""
        return {(arm, s): contrasts.differ(self.readings, arm, (), s) for s in self.outcomes for arm in self.references}

    @cached_property
    def references(self) -> list[Stages]:
        """The arms that contrasts refer to and what they train under other prompts; else the arms of one stage."""
        declared = list(dict.fromkeys(c.reference for c in self.meta.contrasts.values() if c.reference))
        data = [self._data(arm) for arm in declared]
        kin = [arm for arm in self.arms if arm and arm not in declared and self._data(arm) in data]
        return [*declared, *kin] or [arm for arm in self.arms if len(arm) == 1]

    def _data(self, arm: Stages) -> tuple[str, ...]:
        return tuple(self.meta.stages[name].dataset if name in self.meta.stages else name for name in arm)

    def of(self, stratum: Stratum) -> list[contrasts.Finding]:
        """The contrasts in one reading that were measured."""
        return [f for f in self.findings if f.stratum == stratum and f.treatment.direction != "not measured"]
