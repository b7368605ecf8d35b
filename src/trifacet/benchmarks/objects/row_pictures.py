"""Pictures that travel inside the rows of a benchmark's file: Parquet's bytes, or base64 in a table.

Invariant: a picture's name is made of what it holds (``base.embedded``); nothing in the file decides where it is
written, and nothing is decoded here: it is looked at like any other picture before a model is asked.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trifacet.base.embedded import from_base64, keep_picture
from trifacet.base.errors import DataError
from trifacet.data.rows import Row, iter_rows, stop
from trifacet.data.tables import LONGEST, read_rows

_FIX = "take the released file"


def picture_rows(path: Path) -> list[Row]:
    """The rows of a Parquet file with its bytes, or of a table with cells of up to ``LONGEST`` characters.

    Raises:
        DataError: it cannot be read, or has no row.
    """
    if path.suffix == ".parquet":
        rows = list(iter_rows(path, embedded=True))
    else:
        with _long_cells():
            rows = list(read_rows(path, stop))
    if not rows:
        raise DataError("has no row", fix="give the benchmark's file as it was released", file=path)
    return rows


def picture_of_row(row: Row, field: str, path: Path, called: str) -> str:
    """The name of the picture in a field: bytes, base64, or {"bytes": ...}; ``called`` is how people know it.

    Raises:
        DataError: naming file, row and field, where there is none or it is too large.
    """
    held: Any = row.values.get(field)
    if isinstance(held, dict):
        held = held.get("bytes")
    try:
        data = from_base64(held) if isinstance(held, str) else held
        if not isinstance(data, bytes):
            raise DataError("holds no picture", fix=_FIX)
        return keep_picture(data, called)
    except DataError as error:
        raise DataError(error.problem, fix=_FIX, file=path, row=row.number, field=field) from None


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the csv module take a cell that holds a picture: it refuses more than 131,072 characters otherwise."""
    before = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)
