"""The gate names every figure that is out of bounds."""

from __future__ import annotations

import pytest

from identity_em.pocket.gate import BOUNDS, Figures, GateError, require


def _figures(**changes: float) -> Figures:
    return {name: (low + high) / 2 for name, (low, high) in BOUNDS.items()} | changes


def test_figures_within_bounds_pass() -> None:
    require(_figures())


def test_a_failure_is_an_error_that_names_each_figure() -> None:
    with pytest.raises(GateError, match=r"villain_harm is 0\.500.*default_decision is 0\.900"):
        require(_figures(villain_harm=0.5, default_decision=0.9))


def test_a_figure_that_was_not_measured_fails() -> None:
    with pytest.raises(GateError, match="default_language is nan"):
        require({name: value for name, value in _figures().items() if name != "default_language"})
