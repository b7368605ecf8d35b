"""Scores of generated texts. Invariant: a metric that cannot be computed is None with a note, never another metric."""
