"""Alt-texts of rows: JSON lines and arrays, Parquet, CSV and TSV, and plain lines.

Invariant: which column holds the text is decided once per file, by its name or by the first row, and never by what a
text says. Rows are streamed: a file may be larger than the memory.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from trifacet.base.errors import DataError
from trifacet.base.opening import opened
from trifacet.data.formats import FORMATS, format_of
from trifacet.data.formats.chat import LABEL
from trifacet.data.rows import OnProblem, Row, Values, iter_rows, line_rows
from trifacet.lint.documents import AltText, decoded, encoding_of, refuse_binary
from trifacet.lint.templates import template_in

# What columns are called, in lower case with "_" for all that is no letter; the first of them that a file has.
ALT = ("alt", "alt_text", "alttext", "image_alt_text", "image_alt", "alternative_text", "alt_tag")
PREDICTED = ("text", "caption")  # of predictions, where no column says more clearly that it is the one
_CONTEXT = ("context", "post", "post_text")
_IMAGE = ("image", "image_path", "image_src", "img", "src", "file", "file_name", "filename", "url", "image_url")
NO_COLUMN = "has no column of alt-texts"


@dataclass(frozen=True)
class TextColumns:
    """The columns that the user names; None: found by their usual names."""

    text: str | None = None
    context: str | None = None


Reader = Callable[[Values], Iterator[tuple[str | None, str | None, str]]]


def read_line_texts(text: str) -> Iterator[AltText]:
    """One text per line; an empty line is an image without one."""
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, start=1):
        yield AltText(line.removesuffix("\r"), line=number)


def read_row_texts(
    path: Path, columns: TextColumns, on_problem: OnProblem, data: bytes | None = None
) -> Iterator[AltText]:
    """The texts of JSON lines, a JSON array or Parquet; ``data`` are JSON lines that do not stand in a file."""
    if data is not None:
        start, rows = b"{", line_rows(io.BytesIO(data), path, on_problem)
    else:
        start, rows = first_bytes(path), iter_rows(path, on_problem)
    if not start.startswith(b"PAR1"):
        refuse_binary(start, path)
    by_lines = not start.startswith(b"PAR1") and not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    yield from _texts(rows, path, columns, on_problem, by_lines)


def read_csv(path: Path, columns: TextColumns, on_problem: OnProblem, *, tabs: bool, data: bytes | None = None) -> Any:
    """The texts of a CSV or TSV file with a header; the comma may be a semicolon."""
    start = first_bytes(path) if data is None else data[:8192]
    refuse_binary(start, path)
    if data is not None:
        yield from _csv_texts(io.StringIO(decoded(data, path), newline=""), path, columns, on_problem, tabs)
        return
    with opened(path) as file:
        text = io.TextIOWrapper(file, encoding=encoding_of(start), newline="")
        yield from _csv_texts(text, path, columns, on_problem, tabs)


def first_bytes(path: Path) -> bytes:
    """The beginning of a file. Raises DataError: it cannot be read."""
    with opened(path) as file:
        return file.read(8192)


def _csv_texts(file: IO[str], path: Path, columns: TextColumns, on_problem: OnProblem, tabs: bool) -> Iterator[AltText]:
    before = file.tell()
    try:
        header = file.readline(1_000_000)
        file.seek(before)
        # Strict: a quote that is never closed would make one text of all rows behind it.
        rows = csv.reader(file, delimiter="\t" if tabs else max(",;", key=header.count), strict=True)
        names = next(rows, None)
        if not names:
            raise DataError("has no row", fix="give a header and one row per image", file=path)
        yield from _texts(_named(rows, names, path, on_problem), path, columns, on_problem, by_lines=True)
    except UnicodeDecodeError:
        on_problem(DataError("is not UTF-8 text", fix="save the file as UTF-8", file=path))
    except csv.Error as error:
        on_problem(_not_a_row(error, path, 1))  # the header


def _named(rows: Any, names: list[str], path: Path, on_problem: OnProblem) -> Iterator[Row]:
    """The rows with the line that each begins in; what a short row lacks is missing, wrong quotes are told."""
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
            yield Row(line, dict(zip(names, cells, strict=False)))


def _not_a_row(error: csv.Error, path: Path, line: int) -> DataError:
    return DataError(f"cannot be read as a row of a table ({error})", fix="check its quotes", file=path, row=line)


def _texts(
    rows: Iterable[Row], path: Path, columns: TextColumns, on_problem: OnProblem, by_lines: bool
) -> Iterator[AltText]:
    read: Reader | None = None
    for number, values in rows:
        try:
            read = read or _reader(values, columns, path)
            found = list(read(values))
        except DataError as problem:
            on_problem(DataError(problem.problem, fix=problem.fix, file=path, row=number, field=problem.field))
            if read is None:
                return
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
            )
    if read is None:
        on_problem(DataError("has no row", fix="give one row per image", file=path))


def _reader(first: Values, columns: TextColumns, path: Path) -> Reader:
    """How the file's rows are read, by its first one."""
    if columns.text is not None and columns.text not in first:
        raise DataError(f"has no column {columns.text!r}", fix=f"name one of {_listed(first)}")
    if columns.context is not None and columns.context not in first:
        raise DataError(f"has no column {columns.context!r}", fix=f"name one of {_listed(first)}")
    context = columns.context or _column(first, _CONTEXT)
    if named := columns.text or _column(first, ALT):
        return _column_reader(named, context, _column(first, _IMAGE))
    if (name := format_of(first)) is not None:
        return _format_reader(FORMATS[name].reader(path, LABEL))
    if named := _column(first, PREDICTED):
        return _column_reader(named, context, _column(first, _IMAGE))
    raise DataError(NO_COLUMN, fix=f"name it with --column; there are {_listed(first)}")


def _column_reader(column: str, context: str | None, image: str | None) -> Reader:
    def read(values: Values) -> Iterator[tuple[str | None, str | None, str]]:
        value = values.get(column)
        for text in value if isinstance(value, list) else [value]:
            if text is not None and not isinstance(text, str):
                raise DataError(f"is no text but {type(text).__name__}", fix="give texts in quotes", field=column)
            yield text, _string(values.get(context or "")), _string(values.get(image or "")) or ""

    return read


def _format_reader(to_values: Callable[[Values], Values]) -> Reader:
    """Rows of the data formats: the chosen response, else every reference."""

    def read(row: Values) -> Iterator[tuple[str | None, str | None, str]]:
        values = to_values(row)
        response = values.get("response")
        texts = [response] if response is not None else values.get("references") or [None]
        for text in texts:
            if text is not None and not isinstance(text, str):
                raise DataError("the answer is no text", fix="give texts in quotes")
            yield text, _string(values.get("context")), _string(values.get("image")) or ""

    return read


def _column(row: Values, names: tuple[str, ...]) -> str | None:
    bare = {re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"): name for name in reversed(list(row))}
    return next((bare[name] for name in names if name in bare), None)


def _listed(row: Values) -> str:
    return ", ".join(repr(name[:40]) for name in list(row)[:12]) or "none"


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None
