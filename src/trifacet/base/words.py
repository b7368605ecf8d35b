"""Numbers, lists and hostile characters in a reader's words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_NOT_ASCII = re.compile(r"[^\n\t -~]")


def listed(names: Sequence[str], shown: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def visible(text: str) -> str:
    r"""``text`` with what a terminal obeys, or a reader cannot see, as escapes such as ``\x1b`` and ``\u202e``."""
    return _NOT_ASCII.sub(_seen, text)


def _seen(found: re.Match[str]) -> str:
    char = found[0]
    if char.isprintable() or unicodedata.category(char) == "Zs":  # a blank of another width
        return char
    return char.encode("unicode_escape").decode("ascii")
