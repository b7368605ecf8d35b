"""Pictures that CSS shows as backgrounds. Invariant: linear in the length of the style sheet; nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"/\*.*?(?:\*/|\Z)"  # a comment
    r"|url\(\s*+(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'|(?P<bare>[^\s\"'()]*+))\s*+\)"
    r"|\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)"
    r"|(?P<end>[;{}])|(?P<word>[-\w]++)(?P<colon>\s*+:)?",
    re.DOTALL | re.IGNORECASE,
)
MOST = 1000  # of one style sheet


def backgrounds(style: str) -> Iterator[str]:
    """The addresses of a style attribute's or sheet's backgrounds, in their order; ``MOST`` at most."""
    shows, found = False, 0
    for token in _TOKEN.finditer(style):
        if token["end"]:
            shows = False
        elif token["colon"]:
            shows = token["word"].lower() in ("background", "background-image")
        elif shows and token[0][:4].lower() == "url(":
            address = next((token[kind] for kind in ("double", "single", "bare") if token[kind]), "")
            if address and not address.startswith("#"):
                yield address
                found += 1
                if found == MOST:
                    return
