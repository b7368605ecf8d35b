"""The kinds of documents that hold pictures and their texts.

A format is a file of this folder that gives ``FORMAT``, an object as ``place.Format`` describes it, or ``FORMATS``,
several: it is found by itself. Besides ``name``, ``suffixes``, ``places`` and ``edited`` it may have

* ``begins(start: bytes) -> bool``: whether a file's first ``START`` bytes are of this kind. Of formats with one suffix
  (.json, .xml, .zip) the one that says so is taken; one without ``begins`` is taken where none says so;
* ``largest: int``: bytes of its largest document, where that is not the 4 MB of a page;
* ``asked_only: bool``: files of this kind that are found in a folder are no documents unless the format is asked for by
  name, as with pictures themselves;
* ``with_column(name: str) -> Format``: the same with the texts in the column of that name;
* ``beside: str``: the document is a file beside the one that is found, called so at its end; it need not be there yet.

Invariant: modules are imported when the first document is looked for, and import what is heavy inside their functions.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from trifacet.base.errors import TrifacetError
from trifacet.describing.place import Format
from trifacet.lint.documents import MAX_PAGE

START = 4096  # bytes by which a format may know its documents


@cache
def formats() -> dict[str, Format]:
    """All formats by name, in the order of their names."""
    found: dict[str, Format] = {}
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        given: Any = getattr(loaded, "FORMATS", None) or [one for one in [getattr(loaded, "FORMAT", None)] if one]
        found |= {one.name: one for one in given}
    return dict(sorted(found.items()))


def format_called(name: str) -> Format:
    """The format of this name; ``NAME:COLUMN`` has the texts in that column. Raises TrifacetError: there is none."""
    base, _, column = name.partition(":")
    if base not in (known := formats()) or (column and not hasattr(known[base], "with_column")):
        raise TrifacetError(f"unknown format {name!r}; known are auto, {', '.join(known)}")
    found: Format = known[base].with_column(column) if column else known[base]  # type: ignore[attr-defined]
    return found


def format_of(name: str, start: bytes = b"", *, found: bool = False) -> Format | None:
    """The format of a document.

    Args:
        name: the file's.
        start: its first bytes.
        found: it was found in a folder, and need not be a document.
    """
    lower = name.lower()
    by_suffix = [one for one in formats().values() if lower.endswith(tuple(one.suffixes))]
    if found:
        by_suffix = [one for one in by_suffix if not getattr(one, "asked_only", False)]
    asked = [one for one in by_suffix if hasattr(one, "begins")]
    sure = next((one for one in asked if one.begins(start)), None)
    if sure is not None:
        return sure
    for one in by_suffix:
        if one not in asked or len({tuple(other.suffixes) for other in by_suffix}) == 1:
            return one
    if found or by_suffix:
        return by_suffix[0] if by_suffix and not found else None
    return next((one for one in formats().values() if hasattr(one, "begins") and one.begins(start)), None)


def has_suffix(name: str) -> bool:
    """Whether a file may be a document, by its ending."""
    return name.lower().endswith(tuple(suffix for one in formats().values() for suffix in one.suffixes))


def largest(format: Format) -> int:
    """Bytes of a format's largest document."""
    size: int = getattr(format, "largest", MAX_PAGE)
    return size
