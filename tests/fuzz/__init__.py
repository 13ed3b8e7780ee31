"""Hostile input for the doors, the worker and the texts: from a corpus, and made by a seeded mutator."""
