"""Where in a page the code of templates stands: what is in it is no page yet.

Invariant: linear in the text's length. Code of pages' own scripts is the parser's business, not this one's.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from trifacet.lint.templates import template_in

_OPENING = re.compile(r"<\?(?!xml)|<%|\{\{|\{%|\{#")
_CLOSING = {"<?": "?>", "<%": "%>", "{{": "}}", "{%": "%}", "{#": "#}"}
_LONGEST = 4000  # characters of what stands in braces: more is a script's
_SOURCE = re.compile(r"(?!(?:data-[\w-]*)?src(?:set)?$)(?:.*[^a-z-])?(?:ng-)?(?:src|srcset|href|data)(?:[^a-z-].*)?")
_PLAIN = frozenset(("src", "srcset", "href", "data", "xlink:href"))


class Code:
    """The pieces of a text that are a template's code."""

    def __init__(self, text: str) -> None:
        pieces = list(_pieces(text))
        self._starts, self._ends = [start for start, _ in pieces], [end for _, end in pieces]

    def __contains__(self, offset: int) -> bool:
        at = bisect_right(self._starts, offset) - 1
        return at >= 0 and offset < self._ends[at]


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    closing: dict[str, int] = {}  # where the next end of each kind is
    at = 0
    while (found := _OPENING.search(text, at)) is not None:
        kind, start = found[0], found.start()
        if closing.get(kind, 0) <= start:
            end = text.find(_CLOSING[kind], found.end())
            closing[kind] = len(text) + 1 if end < 0 else end
        end = closing[kind]
        at = found.end()
        if kind == "<?" and end > len(text):
            end = len(text)  # PHP need not be closed
        if end <= len(text) and (kind[0] == "<" or end - start <= _LONGEST):
            at = end + 2
            yield start, at


def template_of(tag: str, attributes: dict[str, str | None]) -> str:
    """Why a tag is yet to be filled in, by a template or a script; "" where it is not.

    Args:
        tag: as it is written, without its name.
        attributes: its attributes.
    """
    if template_in(tag):
        return "its tag holds a template"
    bound = next((name for name in attributes if name not in _PLAIN and _SOURCE.fullmatch(name[:200].lower())), "")
    return f"a script gives its picture ({bound[:40]})" if bound else ""
