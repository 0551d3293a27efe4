"""The choices that every section of a report shares: which readings are outcomes, which prompt is read first."""

from functools import cached_property

import pandas as pd

from identity_em.analysis import checks, contrasts, validity
from identity_em.analysis.meta import Meta, Stages
from identity_em.analysis.readings import Readings, Stratum


class View:
    """A table's readings with everything computed from them, each once.

    Attributes:
        prompt: The eval system prompt that is read first; the others have a section of their own.
        digest: SHA-256 of the table's file.
    """

    def __init__(self, frame: pd.DataFrame, meta: Meta, *, digest: str = "") -> None:
        self.meta, self.digest, self.rows = meta, digest, len(frame)
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
    def references(self) -> list[Stages]:
        """The arms that contrasts refer to, the base left out; without contrasts, the arms of one stage."""
        declared = [c.reference for c in self.meta.contrasts.values() if c.reference]
        return list(dict.fromkeys(declared or [arm for arm in self.arms if len(arm) == 1]))

    def of(self, stratum: Stratum) -> list[contrasts.Finding]:
        """The contrasts in one reading that were measured."""
        return [f for f in self.findings if f.stratum == stratum and f.treatment.direction != "not measured"]
