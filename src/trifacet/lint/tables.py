"""Alt-texts of rows: JSON lines and arrays, Parquet, CSV and TSV, and plain lines.

Invariant: which column holds the text is decided once per file, by the names of all its rows, and never by what a text
says (columns.py). Rows are streamed: a file may be larger than the memory.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from trifacet.base.errors import DataError
from trifacet.base.opening import opened
from trifacet.data.parquet import parquet_file
from trifacet.data.rows import OnProblem, Row, iter_rows, line_rows
from trifacet.lint.columns import Chosen, Known, Rows, TextColumns, choose, look_over
from trifacet.lint.documents import AltText, decoded, encoding_of, refuse_binary
from trifacet.lint.templates import template_in

_PARQUET = b"PAR1"


def read_line_texts(text: str) -> Iterator[AltText]:
    """One text per line; an empty line is an image without one."""
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, start=1):
        yield AltText(line.removesuffix("\r"), line=number)


def read_row_texts(
    path: Path, columns: TextColumns, on_problem: OnProblem, known: Known, data: bytes | None = None
) -> Iterator[AltText]:
    """The texts of JSON lines, a JSON array or Parquet; ``data`` are JSON lines that do not stand in a file."""
    start = first_bytes(path) if data is None else b"{"
    parquet = start.startswith(_PARQUET)
    if not parquet:
        refuse_binary(start, path)
    elif not known.names:
        _note_columns(path, known)
    rows: Rows = partial(iter_rows, path) if data is None else lambda told: line_rows(io.BytesIO(data), path, told)
    by_lines = not parquet and not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    yield from _texts(rows, path, columns, on_problem, known, by_lines)


def read_csv(
    path: Path, columns: TextColumns, on_problem: OnProblem, known: Known, *, tabs: bool, data: bytes | None = None
) -> Iterator[AltText]:
    """The texts of a CSV or TSV file with a header; the comma may be a semicolon."""
    refuse_binary(first_bytes(path) if data is None else data[:8192], path)
    rows: Rows = lambda told: _csv_rows(path, told, tabs, data)  # noqa: E731 - read twice
    yield from _texts(rows, path, columns, on_problem, known, by_lines=True)


def first_bytes(path: Path) -> bytes:
    """The beginning of a file. Raises DataError: it cannot be read."""
    with opened(path) as file:
        return file.read(8192)


def _note_columns(path: Path, known: Known) -> None:
    """The columns of Parquet stand in its schema; embedded pictures are read as nothing, but are there."""
    from pyarrow import types

    with parquet_file(path) as table:
        fields = list(table.schema_arrow)
    known.names, known.complete = {field.name: True for field in fields}, True
    known.embedded = frozenset(
        field.name for field in fields if types.is_binary(field.type) or types.is_large_binary(field.type)
    )


def _csv_rows(path: Path, on_problem: OnProblem, tabs: bool, data: bytes | None) -> Iterator[Row]:
    if data is not None:
        yield from _rows_of(io.StringIO(decoded(data, path), newline=""), path, on_problem, tabs)
        return
    encoding = encoding_of(first_bytes(path))
    with opened(path) as file:
        yield from _rows_of(io.TextIOWrapper(file, encoding=encoding, newline=""), path, on_problem, tabs)


def _rows_of(file: IO[str], path: Path, on_problem: OnProblem, tabs: bool) -> Iterator[Row]:
    before = file.tell()
    try:
        header = file.readline(1_000_000)
        file.seek(before)
        # Strict: a quote that is never closed would make one text of all rows behind it.
        rows = csv.reader(file, delimiter="\t" if tabs else max(",;", key=header.count), strict=True)
        names = next(rows, None)
        if not names:
            raise DataError("has no row", fix="give a header and one row per image", file=path)
        yield from _named(rows, names, path, on_problem)
    except UnicodeDecodeError:
        on_problem(DataError("is not UTF-8 text", fix="save the file as UTF-8", file=path))
    except csv.Error as error:
        on_problem(_not_a_row(error, path, 1))  # the header


def _named(rows: Any, names: list[str], path: Path, on_problem: OnProblem) -> Iterator[Row]:
    """The rows with the line that each begins in; what a short row lacks is empty, wrong quotes are told."""
    while True:
        line = rows.line_num + 1
        try:
            cells = next(rows, None)
        except csv.Error as error:
            on_problem(_not_a_row(error, path, line))
            continue  # with the next line
        if cells is None:
            return
        if cells:
            yield Row(line, dict.fromkeys(names) | dict(zip(names, cells, strict=False)))


def _not_a_row(error: csv.Error, path: Path, line: int) -> DataError:
    return DataError(f"cannot be read as a row of a table ({error})", fix="check its quotes", file=path, row=line)


def _texts(
    rows: Rows, path: Path, columns: TextColumns, on_problem: OnProblem, known: Known, by_lines: bool
) -> Iterator[AltText]:
    if not known.looked:
        look_over(rows, known)
    chosen: Chosen | None = None
    unread: list[DataError] = []

    def told(problem: DataError) -> None:
        unread.append(problem)
        on_problem(problem)

    for number, values in rows(told):
        try:
            chosen = chosen or choose(known, columns, path)
        except DataError as problem:  # of all rows, not of this one
            on_problem(DataError(problem.problem, fix=problem.fix, file=path, field=problem.field))
            return
        try:
            found = list(chosen.read(values))
        except DataError as problem:
            on_problem(DataError(problem.problem, fix=problem.fix, file=path, row=number, field=problem.field))
            continue
        name = values.get("id")
        for text, context, image in found:
            yield AltText(
                text,
                line=number if by_lines else None,
                row=None if by_lines else number,
                id=str(name) if isinstance(name, str | int) else "",
                image=image,
                context=context,
                unasked="template" if text is not None and template_in(text) else "",
                field=chosen.name,
            )
    if chosen is None and not unread:  # else why nothing was read is said already
        on_problem(DataError("has no row", fix="give one row per image", file=path))
