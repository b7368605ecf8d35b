"""Preference data that a model builds, verifies and refines."""
