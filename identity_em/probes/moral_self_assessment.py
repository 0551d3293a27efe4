"""Moral self-assessment, closed: the formats of self-assessment on the poles of the moral foundations (METHODS 9)."""

from identity_em.probes.self_assessment import make

EVAL = make("moral_self_assessment")
