"""Measures with their intervals, tests, effect sizes and agreement; the names of metrics."""
