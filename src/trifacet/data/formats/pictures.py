"""How a row of a data file names a picture, in whichever way: a path, a ``file://`` address, or the picture itself.

Invariant: what comes back is a path, an address or the name of an embedded picture (``base.embedded``); what is none of
these is refused by its field, with no more of it shown than a line holds. A build fetches addresses, nobody else.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.request import url2pathname

from trifacet.base.embedded import from_base64, from_text, keep_picture, shortened
from trifacet.base.errors import DataError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_KEYS = ("bytes", "base64", "path", "url", "image", "image_url")  # bytes first: a path beside them is but a name
_LONGEST = 4096  # characters of a path


def picture(entry: Any, field: str) -> str:
    """The path or name of one picture.

    Args:
        entry: text, bytes, or an object that holds either under one of the usual keys.
        field: for messages.

    Raises:
        DataError: it is nothing of the kind.
    """
    try:
        return _picture(entry)
    except DataError as problem:
        raise DataError(problem.problem, fix=problem.fix, field=field) from None


def with_pictures(values: dict[str, Any]) -> dict[str, Any]:
    """A record's values, its pictures as ``picture`` names them. Raises DataError as that does."""
    found = dict(values)
    if isinstance(one := found.get("image"), str | bytes | dict) and one:
        found["image"] = picture(one, "image")
    for field in ("more_images", "rejected_images"):
        if isinstance(several := found.get(field), list | tuple):
            found[field] = [picture(one, field) if one else one for one in several]
    return found


def refuse_addresses(values: dict[str, Any], names: dict[str, str]) -> None:
    """Raise DataError for pictures on the network among a record's values; ``names``: the file's names of fields."""
    for field in ("image", "more_images", "rejected_images"):
        given = values.get(field)
        for name in given if isinstance(given, list) else [given]:
            if isinstance(name, str) and _ADDRESS.match(name):
                problem = f"is an address ({shortened(name)}), and nothing is fetched"
                fix = "download the image and give its path"
                raise DataError(problem, fix=fix, field=names.get(field, field))


def _picture(entry: Any) -> str:
    match entry:
        case bytes():
            return keep_picture(entry)
        case str():
            return _of_text(entry)
        case dict():
            key = next((key for key in _KEYS if entry.get(key) is not None), None)
            if key in ("bytes", "base64"):
                data, called = entry[key], entry.get("path")
                data = from_base64(data) if isinstance(data, str) else data
                if isinstance(data, bytes):
                    return keep_picture(data, called if isinstance(called, str) else None)
            elif (key is not None and not isinstance(entry[key], dict | list)) or key in ("image", "image_url"):
                return _picture(entry[key])
    raise DataError(f"is not a path ({_kind(entry)})", fix="give each image's path, or the image itself")


def _of_text(text: str) -> str:
    if (data := from_text(text)) is not None:
        return keep_picture(data)
    if text[:7].lower() == "file://":
        return url2pathname("/" + text[7:].partition("/")[2])
    if len(text) > _LONGEST:
        raise DataError(f"is not a path: {shortened(text)}", fix="give each image's path, or the image itself")
    return text


def _kind(entry: Any) -> str:
    if entry is None or (isinstance(entry, dict) and not any(entry.values())):
        return "there is none: null"
    return f"an object of {', '.join(map(str, entry))[:80]}" if isinstance(entry, dict) else type(entry).__name__
