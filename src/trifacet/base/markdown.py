"""Texts of others in Markdown.

Invariant: what a page makes of the result (CommonMark, GitHub's tables, strike-through, links, mentions and emoji codes
too) is the text itself on one line, without control characters.
"""

from __future__ import annotations

import re

from trifacet.base.bidi import balanced

_COMMANDS = re.compile(
    r"[\\`*_{}\[\]|#!~]"
    r"|^[-+=]"  # lists and headings
    r"|:(?=//|[\w+-]+:)|@(?=\w)|(?<=www)\.",  # what becomes a link, a picture or a mention where it is shown
    re.IGNORECASE,
)
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_ISOLATES = "\u2068\u2069"  # ours, around names


def markdown_text(text: str) -> str:
    """One line without Markdown or HTML of its own, and without control characters."""
    line = "".join(char if char.isprintable() or char in _ISOLATES else "\ufffd" for char in " ".join(text.split()))
    escaped = _COMMANDS.sub(r"\\\g<0>", balanced(line))
    numbered = re.sub(r"^(\d{1,9})(?=[.)](?: |$))", r"\1\\", escaped)  # a list too
    return re.sub(r"[<>]|&(?=#?\w+;)", lambda found: _ENTITIES[found[0]], numbered)
