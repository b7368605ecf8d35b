"""Numbers and lists in a reader's words."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str], shown: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
