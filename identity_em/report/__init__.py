"""The report: one tidy table in, HTML, Markdown and figures out; needs no torch."""

from identity_em.report.html import build, compare

__all__ = ["build", "compare"]
