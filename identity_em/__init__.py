"""identity_em: from one study file to one comparative report on emergent misalignment and model identity."""

__version__ = "0.1.0"
