"""JSON as data files hold it.

Invariant: what is read can be computed with and written again: each key of an object stands once, numbers fit into a
float, texts into UTF-8, and nothing is nested so deep that code which walks it trips.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.base.opening import read_text

LONGEST_NUMBER = 300  # digits of a whole number
DEEPEST = 100  # lists and objects inside each other
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class UnusableJsonError(ValueError):
    """JSON that can be read, but not used."""


def read_json(path: Path, most: int, fix: str = "repair the file") -> Any:
    """The JSON in a file of at most ``most`` bytes. Raises DataError, which tells to ``fix`` it so."""
    text = read_text(path, most)
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        problem = f"broken JSON at line {error.lineno}, column {error.colno} ({error.msg})"
        raise DataError(problem, fix=fix, file=path) from None
    except ValueError as error:
        raise DataError(f"cannot be read as JSON ({error})", fix=fix, file=path) from None


def parse_json(text: str) -> Any:
    """The value that ``text`` is.

    Raises:
        json.JSONDecodeError: it is no JSON.
        ValueError: it breaks the invariant.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise UnusableJsonError(f"nested more than {DEEPEST} deep") from None
    check_json(value, text)
    return value


def parse_json_at(text: str, start: int) -> tuple[Any, int]:
    """The value that begins at ``start``, which ``check_json`` has not seen, and where it ends; raises alike."""
    try:
        return _DECODER.raw_decode(text, start)
    except RecursionError:
        raise UnusableJsonError(f"nested more than {DEEPEST} deep") from None


def check_json(value: Any, text: str) -> None:
    """Raise UnusableJsonError where ``value``, read from ``text``, is nested too deep or holds what is no character."""
    if text.count("[") + text.count("{") > DEEPEST and _deeper(value):
        raise UnusableJsonError(f"nested more than {DEEPEST} deep")
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise UnusableJsonError("half of a surrogate pair (\\ud800-\\udfff)") from None


def _deeper(value: Any) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEEPEST):
        inner = (child for one in level for child in (one.values() if isinstance(one, dict) else one))
        level = [child for child in inner if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise UnusableJsonError(f"the key {twice[:60]!r} stands twice in one object")
    return values


def _whole(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise UnusableJsonError(f"a number of {len(digits)} digits")
    return int(digits)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_whole)
