"""Where values stand in a JSON text, for edits that leave every other byte as it was.

Invariant: a value is found by its path (keys and numbers) in one walk that reads what is not on the way as a whole; the
text is sound JSON by ``base/json_text.py`` before it is walked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from trifacet.base.errors import DataError
from trifacet.base.json_text import check_json, parse_json_at

MAX_JSON = 128_000_000  # bytes
_BLANK = re.compile(r"[ \t\r\n]*")
_BREAK = re.compile(r"\r?\n")
Way = tuple[str | int, ...]


class Change(NamedTuple):
    """Characters to put in the place of others."""

    start: int
    end: int
    new: str


def json_text(data: bytes, path: str) -> str:
    """The text of a file, its byte order mark kept. Raises DataError: too large, or no UTF-8."""
    if len(data) > MAX_JSON:
        raise DataError(f"is larger than {MAX_JSON // 1_000_000} MB", fix="split it", file=path)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"line {line} is not UTF-8 text", fix="save the file as UTF-8", file=path) from None


class Value(NamedTuple):
    """A value of a file, the line (from 1) and the place that it begins at."""

    value: Any
    line: int
    start: int


def json_values(text: str, path: str) -> Iterator[Value]:
    """The values of a file: one, or JSON lines. Raises DataError naming the line."""
    line, counted = 1, 0
    at = _skip(text, text.startswith("\ufeff"))
    while at < len(text):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = parse_json_at(text, at)
            check_json(value, text[at:end])
        except ValueError as error:
            told = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise DataError(f"cannot be read as JSON ({told})", fix="repair it", file=path, row=line) from None
        yield Value(value, line, at)
        at = _skip(text, end)


def with_values(text: str, start: int, values: Mapping[Way, Any]) -> list[Change]:
    """What gives the value that starts there other texts at these paths.

    A key that an object lacks is put behind its last one. How much is written as escapes goes by the text as a whole.
    """
    wanted: dict[Any, Any] = {}
    for way, value in values.items():
        inner = wanted
        for step in way[:-1]:
            inner = inner.setdefault(step, {})
        inner[way[-1]] = _Leaf(value)
    changes: list[Change] = []
    _walk(text, start, wanted, changes, text.isascii())
    return changes


def applied(text: str, changes: Sequence[Change]) -> str:
    """The text with the changes, which do not overlap."""
    parts, at = [], 0
    for start, end, new in sorted(changes):
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


class _Leaf(NamedTuple):
    value: Any


def _walk(text: str, at: int, wanted: Mapping[Any, Any], changes: list[Change], ascii_only: bool) -> int:
    """Note the changes within the value that starts at ``at``; where it ends."""
    is_object = text[at] == "{"
    left, at, last, number = dict(wanted), _skip(text, at + 1), 0, 0
    while text[at] not in "]}":
        key: Any = number
        if is_object:
            key, at = scanstring(text, at + 1, True)
            at = _skip(text, _skip(text, at) + 1)  # the colon
        value_start, inner = at, left.pop(key, None)
        way_on = isinstance(inner, dict)
        last = _walk(text, at, inner, changes, ascii_only) if way_on else parse_json_at(text, at)[1]
        if isinstance(inner, _Leaf):
            changes.append(Change(value_start, last, json.dumps(inner.value, ensure_ascii=ascii_only)))
        at, number = _skip(text, last), number + 1
        if text[at] == ",":
            at = _skip(text, at + 1)
    for key, leaf in left.items():
        changes.append(_added(text, key, leaf, last, at, ascii_only))
    return at + 1


def _added(text: str, key: str, leaf: _Leaf, last: int, end: int, ascii_only: bool) -> Change:
    """A new key behind the last value, spaced as the object is."""
    written = f"{json.dumps(key)}: {json.dumps(leaf.value, ensure_ascii=ascii_only)}"
    if not last:
        return Change(end, end, written)
    if _BREAK.match(text, last):  # the closing brace has a line of its own: so has the key, deeper than that
        before = text.rindex("\n", 0, last) + 1
        indent = _BLANK.match(text, before)
        return Change(
            last, last, f",{text[last : text.index(chr(10), last) + 1]}{indent[0] if indent else ''}{written}"
        )
    tight = re.search(r'"\s*:(\s?)', text[max(last - 2000, 0) : last])
    if tight and not tight[1]:
        written = written.replace(": ", ":", 1)
        return Change(last, last, f",{written}")
    return Change(last, last, f", {written}")


def _skip(text: str, at: int) -> int:
    return _BLANK.match(text, at).end()  # type: ignore[union-attr]
