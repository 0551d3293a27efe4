"""Moral self-assessment by language: the language format on the poles of the moral foundations (METHODS 9)."""

from identity_em.tasks.language import make

EVAL = make("moral_language")
