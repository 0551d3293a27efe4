"""What Inspect finds under our name: the model API and the tasks (pyproject.toml, entry point `inspect_ai`)."""

from identity_em.models.inspect_api import IdentityEm
from identity_em.tasks.inspect_tasks import TASKS

__all__ = ["TASKS", "IdentityEm"]
