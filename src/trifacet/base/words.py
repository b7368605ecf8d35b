"""Numbers and lists in a reader's words, and what is no word at all."""

from __future__ import annotations

import re
from collections.abc import Sequence

# C0, DEL and C1 but white space; marks that turn the direction of what follows; halves of surrogate pairs.
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def listed(names: Sequence[str], shown: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
