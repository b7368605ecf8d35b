"""Pictures that travel inside a data file, as bytes, base64 or data URLs: each is put into the user's cache, once.

Invariant: the file is called by what it holds, and a name leads to nothing else: ``embedded:<SHA-256>``, and behind a
slash how the row calls it, for people to read. Nothing is decoded here: a picture is looked at like any other file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from pathlib import Path

from trifacet.base.errors import DataError
from trifacet.base.files import replacing

MAX_BYTES = 100_000_000  # of one picture
_NAME = re.compile(r"embedded:([0-9a-f]{64})(?:/.*)?", re.DOTALL)
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_LEAST = 60  # characters of base64 that stand where a path might: a pixel takes more
_TELLING = 32  # of them tell what it begins with
_SUFFIXES = {  # how a file of each format begins
    b"\x89PNG\r\n\x1a\n": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"RIFF": ".webp",
    b"BM": ".bmp",
    b"II*\0": ".tiff",
    b"MM\0*": ".tiff",
}


def cache_folder() -> Path:
    """Trifacet's folder in the user's cache (``XDG_CACHE_HOME``, or ``~/.cache``)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trifacet"


def keep_picture(data: bytes, called: str | None = None) -> str:
    """The name of a picture that is nowhere but in ``data``; ``called`` is how its row calls it.

    Raises:
        DataError: it is empty or larger than ``MAX_BYTES``.
        TrifacetError: the cache cannot be written.
    """
    if not 0 < len(data) <= MAX_BYTES:
        raise DataError(f"holds a picture of {len(data)} bytes", fix=f"use pictures of 1 to {MAX_BYTES} bytes")
    name = name_of(data, called)
    path = kept_picture(name)
    assert path is not None  # it has just been named so
    if not (path.is_file() and path.stat().st_size == len(data)):
        with replacing(path, sync=False) as temporary:
            temporary.write_bytes(data)
    return name


def name_of(data: bytes, called: str | None = None) -> str:
    """The name that a picture has as an embedded one."""
    tail = (called or "").replace("\\", "/").rstrip("/").rpartition("/")[2]
    return f"embedded:{hashlib.sha256(data).hexdigest()}" + (f"/{tail[-100:]}" if tail else "")


def kept_picture(name: str) -> Path | None:
    """Where the picture of this name is, or would be; None for a name that is a path."""
    match = _NAME.fullmatch(name)
    return _path(match[1]) if match else None


def plain_name(name: str) -> str:
    """A name for messages: of an embedded picture how its row calls it."""
    if kept_picture(name) is None:
        return name
    digest, _, called = name.removeprefix("embedded:").partition("/")
    return called or f"embedded:{digest[:12]}"


def file_name(name: str, data: bytes) -> str:
    """A name for the file of an embedded picture that no other picture has: how its row calls it, and its digest."""
    digest, _, called = name.removeprefix("embedded:").partition("/")
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", called.rpartition(".")[0] or called)[:60].strip("._")
    told = next((suffix for start, suffix in _SUFFIXES.items() if data.startswith(start)), Path(called).suffix)
    suffix = told if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", told) else ""
    return f"{stem}-{digest[:12]}{suffix}" if stem else digest[:24] + suffix


def from_text(text: str) -> bytes | None:
    """The bytes of a data URL, or of base64 that begins like a picture; None for what may be a path.

    Raises:
        DataError: a data URL without base64 in it.
    """
    if text[:5].lower() == "data:":
        match = _DATA_URL.match(text)
        if match is None:
            raise DataError(f"{shortened(text)} is no data URL of base64", fix="write data:image/png;base64,...")
        return from_base64(text[match.end() :])
    if len(text) < _LEAST:
        return None
    try:
        start = base64.b64decode(text[:_TELLING], validate=True)
    except ValueError:
        return None
    return from_base64(text) if start.startswith(tuple(_SUFFIXES)) else None


def from_base64(text: str) -> bytes:
    """The bytes. Raises DataError for what is no base64."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"{shortened(text)} is no base64", fix="encode the whole file, or give its path") from None


def shortened(text: str, longest: int = 80) -> str:
    """A name or text of somebody else's, quoted; of a long one the beginning."""
    return repr(text) if len(text) <= longest else f"{text[:longest]!r}... ({len(text)} characters)"


def _path(digest: str) -> Path:
    return cache_folder() / "pictures" / digest[:2] / digest
