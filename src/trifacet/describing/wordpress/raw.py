"""The pictures in the raw content of a post, and the same content with other texts.

Invariant: only texts of pictures change, by the same reader and editor as for pages; a square bracket in a text is
written as a reference, since WordPress runs shortcodes in attributes too. Keys are those of a WordPress export without
the post.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from trifacet.describing.editing import Found, edited, unique
from trifacet.describing.formats.html import read_elements
from trifacet.describing.formats.wordpress import SHORTCODES, fixed_by_block
from trifacet.describing.place import Edit
from trifacet.describing.source import Source


def digest_of(text: str) -> str:
    """SHA-256 of a text's bytes, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def pictures_in(raw: str, path: str) -> list[Found]:
    """The uses of pictures in the raw content of a post; ``path`` is for messages. Raises DataError."""
    data = raw.encode("utf-8", "surrogatepass")
    told = []
    for one in unique([found for found, _ in read_elements(raw, raw, path, SHORTCODES)]):
        why = one.place.fixed or fixed_by_block(data, one.place)
        told.append(Found(replace(one.place, fixed=why), None if why else one.write))
    return told


def patched(raw: str, edits: Mapping[str, Edit], path: str) -> str:
    """The content with other texts, by the places' keys. Raises DataError as ``editing.edited`` says."""
    source = Source(raw.encode("utf-8"), raw, b"", "utf-8")
    data = edited(source, path, edits, lambda data: pictures_in(data.decode("utf-8"), path), references=True)
    return data.decode("utf-8")
