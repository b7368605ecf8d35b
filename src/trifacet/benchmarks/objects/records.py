"""Reading the fields of benchmark files, and of what is asked about them.

Invariant: a value that leaves here is of the type that was asked for; anything else is a DataError that names file, row
and field.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.base.json_text import read_json
from trifacet.base.opening import read_text
from trifacet.benchmarks.benchmark import Answered, Item
from trifacet.data.rows import Row, iter_rows

_MAX_BYTES = 500_000_000  # of a file that is held whole
DIGITS = 18  # of a number by which something is called


def read_benchmark_rows(path: Path) -> list[Row]:
    """All rows of a JSON array or of JSON lines. Raises DataError, also for a file without a row."""
    rows = list(iter_rows(path))
    if not rows:
        raise DataError("has no row", fix="give the benchmark's file as it was released", file=path)
    return rows


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that the file is. Raises DataError."""
    value = read_json(path, _MAX_BYTES, "give the benchmark's file as it was released")
    if not isinstance(value, dict):
        raise DataError("is not a JSON object", fix="give the benchmark's file as it was released", file=path)
    return value


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without their ends. Raises DataError."""
    return read_text(path, _MAX_BYTES).replace("\r\n", "\n").removesuffix("\n").split("\n")


def text_of(row: Row, field: str, path: Path, *, empty: bool = False) -> str:
    """The text in a field; ``empty`` allows one without a character to see."""
    value = row.values.get(field)
    if not isinstance(value, str) or not (empty or value.strip()):
        raise DataError("is missing or no text", fix="give a text in quotes", file=path, row=row.number, field=field)
    return value


def choice_of(row: Row, field: str, path: Path, choices: Collection[str]) -> str:
    """The text in a field that has to be one of ``choices``; a whole number counts as its text."""
    value = row.values.get(field)
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or text not in choices:
        raise DataError(
            f"{str(value)[:60]!r} is none of the values",
            fix=f"give one of {', '.join(choices)}",
            file=path,
            row=row.number,
            field=field,
        )
    return text


def number_of(row: Row, field: str, path: Path) -> int:
    """The whole number in a field, which may stand in quotes."""
    value = row.values.get(field)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= DIGITS:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**DIGITS:
        raise DataError("is no whole number", fix="give digits", file=path, row=row.number, field=field)
    return value


def texts_of(row: Row, field: str, path: Path) -> list[str]:
    """The list of texts in a field."""
    value = row.values.get(field)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise DataError("is no list of texts", fix='give ["...", "..."]', file=path, row=row.number, field=field)
    return value


def once(item: Item, known: Collection[str], path: Path, row: int, field: str) -> Item:
    """``item``, unless its id is known already."""
    if item.id in known:
        raise DataError(
            f"a second row with the id {item.id!r}", fix="keep one row per question", file=path, row=row, field=field
        )
    return item


def check_answers(answered: Sequence[Answered]) -> None:
    """Raise DataError for an item that is answered twice, or with something else than a text."""
    seen: set[str] = set()
    for one in answered:
        if one.item.id in seen:
            raise DataError(f"item {one.item.id!r} is answered twice", fix="give one answer per item")
        if not isinstance(one.answer, str):
            raise DataError(f"the answer to item {one.item.id!r} is no text", fix="give a text, which may be empty")
        seen.add(one.item.id)
