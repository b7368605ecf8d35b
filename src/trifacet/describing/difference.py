"""What changes in a document, for people and for ``git apply`` and ``patch``.

Invariant: bytes are compared by lines that end with a line feed, whatever the encoding, and stand in the patch as they
are: applied to the old bytes it gives the new ones. A document that is no text (a zero byte) has no patch.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

_AROUND = 3  # lines that are shown before and behind a change
_PLAIN = re.compile(rb"[ !#-\[\]-~]+")  # names that git does not quote
_Span = tuple[int, int, int, int]  # of the old lines, of the new ones


def is_text(data: bytes) -> bool:
    """Whether a patch can show it."""
    return b"\0" not in data


def unified(path: str, before: bytes, after: bytes, *, made: bool = False) -> bytes:
    """The patch of one document.

    Args:
        path: below the folder that the patch is applied in, with "/".
        before: the old bytes.
        after: the new bytes.
        made: the document is not there yet.
    """
    old, new = _lines(before), _lines(after)
    name_a, name_b = _quoted("a/" + path), _quoted("b/" + path)
    lines = [b"diff --git %s %s\n" % (name_a, name_b)]
    if made:
        lines += [b"new file mode 100644\n", b"--- /dev/null\n"]
    else:
        lines += [b"--- %s%s\n" % (name_a, _tab(path))]
    lines += [b"+++ %s%s\n" % (name_b, _tab(path))]
    for spans in _hunks(old, new):
        start_a, end_a, start_b, end_b = spans[0][0], spans[-1][1], spans[0][2], spans[-1][3]
        first_a, first_b = max(start_a - _AROUND, 0), max(start_b - _AROUND, 0)
        last_a, last_b = min(end_a + _AROUND, len(old)), min(end_b + _AROUND, len(new))
        lines.append(b"@@ -%s +%s @@\n" % (_range(first_a, last_a), _range(first_b, last_b)))
        at = first_a
        for start_a, end_a, start_b, end_b in spans:
            lines += [_shown(b" ", line) for line in old[at:start_a]]
            lines += [_shown(b"-", line) for line in old[start_a:end_a]]
            lines += [_shown(b"+", line) for line in new[start_b:end_b]]
            at = end_a
        lines += [_shown(b" ", line) for line in old[at:last_a]]
    return b"".join(lines)


def _lines(data: bytes) -> list[bytes]:
    """Only a line feed ends a line, as for git."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _shown(mark: bytes, line: bytes) -> bytes:
    return mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"


def _range(first: int, last: int) -> bytes:
    return b"%d,%d" % (first + (last > first), last - first)


def _hunks(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[list[_Span]]:
    """Changes, together where the lines shown around them would meet."""
    together: list[_Span] = []
    for span in _changes(old, new):
        if together and span[0] - together[-1][1] > 2 * _AROUND:
            yield together
            together = []
        together.append(span)
    if together:
        yield together


def _changes(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[_Span]:
    """By place where the number of lines stays, which is quick and holds for texts in one line; else by likeness."""
    if len(old) == len(new):
        at = 0
        while at < len(old):
            end = at
            while end < len(old) and old[end] != new[end]:
                end += 1
            if end > at:
                yield at, end, at, end
            at = end + 1
        return
    for tag, start_a, end_a, start_b, end_b in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield start_a, end_a, start_b, end_b


def _quoted(name: str) -> bytes:
    """A path as git writes it: in quotes with escapes where it holds more than plain characters."""
    raw = name.encode("utf-8", "surrogateescape")
    if _PLAIN.fullmatch(raw):
        return raw
    return b'"%s"' % b"".join(bytes([byte]) if _PLAIN.fullmatch(bytes([byte])) else b"\\%03o" % byte for byte in raw)


def _tab(path: str) -> bytes:
    """Behind a name with blanks, so that it has an end."""
    return b"\t" if " " in path else b""
