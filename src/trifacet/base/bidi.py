"""Texts of either direction beside one another.

Invariant: what leaves ``balanced`` turns nothing that stands behind it, and what leaves ``isolated`` nothing around it,
whatever marks of direction the text holds (Unicode Standard Annex 9).
"""

from __future__ import annotations

import re
import unicodedata

_POP, _END = "\u202c", "\u2069"  # of an embedding or override, of an isolate
_ENDS = {"\u202a": _POP, "\u202b": _POP, "\u202d": _POP, "\u202e": _POP, "\u2066": _END, "\u2067": _END, "\u2068": _END}
_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_PARAGRAPHS = re.compile("([\n\r\x1c-\x1e\x85\u2029])")
_LEFT_TO_RIGHT = frozenset(("L", "EN", "ES", "ET", "CS", "NSM", "BN", "B", "S", "WS", "ON", ""))


def balanced(text: str) -> str:
    """The text with an end for each mark of direction that lacks one, and U+FFFD for each end without a beginning."""
    return "".join(map(_balanced, _PARAGRAPHS.split(text))) if _MARKS.search(text) else text


def isolated(name: str) -> str:
    """A name to stand in a sentence of ours: as it is, or in an isolate where it could turn what is around it."""
    if all(unicodedata.bidirectional(char) in _LEFT_TO_RIGHT for char in name):
        return name
    return f"\u2068{balanced(name)}{_END}"


def bare(sentence: str) -> str:
    """The sentence without isolates, for what shows marks of direction as escapes or not at all."""
    return sentence.replace("\u2068", "").replace(_END, "")


def _balanced(paragraph: str) -> str:
    said, ends = [], list[str]()
    for char in paragraph:
        if char in _ENDS:
            ends.append(_ENDS[char])
        elif char in (_POP, _END):
            if char not in ends or (char == _POP and ends[-1] == _END):
                said.append("\ufffd")
                continue
            while ends.pop() != char:  # with an isolate ends all that was begun in it
                pass
        said.append(char)
    return "".join([*said, *reversed(ends)])
