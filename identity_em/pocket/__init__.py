"""The pocket world: a generated chat world, a tiny model pretrained on it, and its question sets."""
