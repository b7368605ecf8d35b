"""Facets, objectives and their losses."""
