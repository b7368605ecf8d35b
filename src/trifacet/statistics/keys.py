"""How metrics are told apart in tables: by profile or table, and name."""

from __future__ import annotations

Key = tuple[str, str]  # profile and metric


TEXTS, PER_SAMPLE, PROBE = "texts", "per sample", "probe"  # where other tables have a profile or a benchmark


OWN = (TEXTS, PROBE)  # tables of metrics that this program defines: no other gives them


def title(key: Key) -> str:
    """The metric with its profile before it, where there is one."""
    return "/".join(part for part in key if part)
