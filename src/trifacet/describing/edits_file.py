"""Texts for places in a file of rows: ``{document, digest, key, alt}``, with ``format``, ``described_by``,
``source``, ``long``.

Invariant: one row for each place, one digest for each document; what is wrong is told by row and field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.base.opening import opened
from trifacet.data.rows import Row, iter_rows
from trifacet.describing.formats import START, format_called, format_of
from trifacet.describing.place import Edit, Format
from trifacet.describing.planning import Wanted

_DIGEST = re.compile(r"[0-9a-f]{64}")
_OPTIONAL = ("format", "described_by", "source", "long")


@dataclass(frozen=True)
class Edits:
    """``wanted`` as ``patching`` takes it; ``formats`` by document where a row names one."""

    wanted: Wanted
    formats: dict[str, str] = field(default_factory=dict)

    def format_of(self, path: str, data: bytes) -> Format | None:
        """The format of a document. Raises TrifacetError for one that is named and unknown."""
        name = self.formats.get(path)
        return format_called(name) if name else format_of(path, data[:START])


def read_edits(path: Path) -> Edits:
    """The edits of a file: JSON lines, a JSON array or Parquet.

    Raises:
        DataError: no such file, a field is missing or no text, two rows for one place, two digests for one document.
    """
    _refuse_others(path)
    wanted: dict[str, tuple[str, dict[str, Edit]]] = {}
    formats: dict[str, str] = {}
    for row in iter_rows(path):
        document, digest, key, alt = (_text(row, name, path) for name in ("document", "digest", "key", "alt"))
        format, described_by, source, long = (_text(row, name, path, given=False) for name in _OPTIONAL)
        if not _DIGEST.fullmatch(digest):
            raise _wrong(row, path, "digest", "is no SHA-256", "give the digest that scan told")
        known, edits = wanted.setdefault(document, (digest, {}))
        if known != digest:
            raise _wrong(row, path, "digest", "differs from that of an earlier row of the document", "scan it again")
        if key in edits:
            raise _wrong(row, path, "key", "has a text already", "give one row for each place")
        edits[key] = Edit(alt, described_by, source, long)
        if described_by and long:
            raise _wrong(row, path, "described_by", "and long both describe the picture", "give one of them")
        if formats.setdefault(document, format) != format:
            raise _wrong(row, path, "format", "differs from that of an earlier row of the document", "name one")
    return Edits(wanted, formats)


_FORMS = "a queue of `trifacet alt suggest`, or rows of document, digest, key and alt (JSON lines, Parquet)"


def _refuse_others(path: Path) -> None:
    """Raise DataError for a file that is no edits, saying what it is."""
    if path.is_dir():
        raise DataError("is a folder, and no edits", fix=f"give {_FORMS}", file=path)
    with opened(path) as file:
        start = file.read(START)
    if start[:4] == b"PAR1":
        return
    suffix, bare = path.suffix.lower(), start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if suffix in (".csv", ".tsv"):
        raise DataError("is a table", fix="enter it with `trifacet alt import`, then apply the queue", file=path)
    if start.startswith((b"diff --git", b"--- ")):
        raise DataError("is a patch", fix="apply it with `git apply`", file=path)
    if bare[:1] not in (b"{", b"["):
        format = format_of(path.name, start)
        what = f"is a document ({format.name})" if format is not None else "is neither a queue nor JSON"
        raise DataError(f"{what}, and no edits", fix=f"give {_FORMS}", file=path)


def _text(row: Row, name: str, path: Path, *, given: bool = True) -> str:
    value: Any = row.values.get(name)
    if value is None and not given:
        return ""
    if not isinstance(value, str):
        problem = "is missing" if value is None else f"is no text but {type(value).__name__}"
        raise _wrong(row, path, name, problem, "give a text")
    return value


def _wrong(row: Row, path: Path, name: str, problem: str, fix: str) -> DataError:
    return DataError(problem, fix=fix, file=path, row=row.number, field=name)
