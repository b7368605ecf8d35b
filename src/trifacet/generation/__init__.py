"""Texts from models of this machine: opening, batches, results on disk, filters."""
