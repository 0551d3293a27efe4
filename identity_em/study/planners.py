"""The planner of every eval, by name."""

from identity_em.study import battery_inputs, eval_inputs
from identity_em.study.eval_inputs import ITEMS, Planner

_PLANNERS = {**eval_inputs.PLANNERS, **battery_inputs.PLANNERS}


def planner(name: str) -> Planner:
    """The planner of the eval called `name`; one file of items where it has none of its own."""
    return _PLANNERS.get(name, ITEMS)
