"""Reading answers strictly.

Invariant: what is returned has exactly the keys and types that were asked for, and no control characters; anything
else is an ``UnparsedError``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from trifacet.base.words import CONTROL

_MAX_CHARACTERS = 200_000
_FENCE = re.compile(r"```(?:json|JSON)?[ \t]*\n(.*)\n[ \t]*```", re.DOTALL)
_REFUSAL = re.compile(
    r"\W*(?:(?:i['’]?m|i am)\s+(?:very |really |so )?(?:sorry|unable|not able)|sorry\b"
    r"|i (?:can['’]?t|cannot|can not|won['’]?t)|as an ai\b|unfortunately,? i)",
    re.IGNORECASE,
)


class UnparsedError(ValueError):
    """An answer that is not of the form that was asked for; raised by parsers."""


def parse_object(text: str, keys: Mapping[str, type | Collection[str]]) -> dict[str, Any]:
    """The JSON object that ``text`` is, bare or in one Markdown fence, with nothing around it.

    Args:
        text: what the model said.
        keys: for every key its type (``str``, ``bool``, ``int``, ``float``, ``list`` of strings) or the words that it
            may be. A key more or less is an error, as is a key twice.

    Raises:
        UnparsedError: saying what is not as asked.
    """
    if len(text) > _MAX_CHARACTERS:
        raise UnparsedError("too long")
    fenced = _FENCE.fullmatch(text.strip())
    try:
        value = json.loads(fenced[1] if fenced else text, object_pairs_hook=_once, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair could be written to no file
    except (ValueError, RecursionError) as error:
        raise UnparsedError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UnparsedError("not a JSON object")
    if value.keys() != keys.keys():
        raise UnparsedError(f"keys {sorted(value)}, not {sorted(keys)}")
    for key, kind in keys.items():
        if any(CONTROL.search(one) for one in _texts(value[key])):
            raise UnparsedError(f"{key!r} has control characters")
        if not _fits(value[key], kind):
            raise UnparsedError(f"{key!r} is not {kind.__name__ if isinstance(kind, type) else sorted(kind)}")
    return value


def looks_refused(text: str) -> bool:
    """Whether a short answer that could not be parsed declines the request, as models word it in English."""
    return len(text) <= 600 and _REFUSAL.match(text) is not None


def _texts(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _fits(value: Any, kind: type | Collection[str]) -> bool:
    if not isinstance(kind, type):
        return isinstance(value, str) and value in kind
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind  # True is no number here


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
