"""Numbers, lists and hostile characters in a reader's words, and what is no word at all."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# C0, DEL and C1 but white space; marks that turn the direction of what follows; halves of surrogate pairs.
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# ANSI sequences whole, so that their letters do not stay behind: first OSC and the like with their end, then CSI, then
# what is left of broken ones.
_SEQUENCES = re.compile(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
_NOT_ASCII = re.compile(r"[^\n\t -~]")
_PART = r"[^\s\\/\"':=,;()<>]"  # a character of a path's part; a part may hold single blanks
_FOLDERS = re.compile(
    rf"(?<![^\s=\"'(\[,])(?:file://)?(?:[A-Za-z]:)?[\\/]{{1,2}}(?:{_PART}+(?: (?!-){_PART}+)*[\\/])+(?={_PART})"
)


def listed(names: Sequence[str], shown: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def visible(text: str) -> str:
    r"""``text`` with what a terminal obeys, or a reader cannot see, as escapes such as ``\x1b`` and ``\u202e``."""
    return _NOT_ASCII.sub(_seen, text)


def visible_line(text: str) -> str:
    r"""The same on one line: ends of lines are ``\n``."""
    return visible(text).replace("\n", r"\n")


def _seen(found: re.Match[str]) -> str:
    char = found[0]
    if char.isprintable() or unicodedata.category(char) == "Zs":  # a blank of another width
        return char
    return char.encode("unicode_escape").decode("ascii")


def without_sequences(text: str) -> str:
    """``text`` without ANSI sequences; other control characters stay."""
    return _SEQUENCES.sub("", text)


def without_folders(text: str) -> str:
    """The text with "…/" for the folders of each absolute path: a page is handed on, the machine is not."""
    return _FOLDERS.sub("…/", text)
