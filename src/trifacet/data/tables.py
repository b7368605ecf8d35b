"""The rows of one file, whatever they mean: JSON lines, a JSON array, CSV, TSV (each with or without gzip), Parquet.

CSV is read by Python's csv module: it streams, keeps quoted line breaks, leaves every cell as the text it is (an id
"007" stays one) and knows which row it is at. pyarrow's reader guesses types and does not tell the row of a problem.
Invariant: memory does not grow with the file; a row is numbered from 1, in JSON lines by its line, in CSV without the
header.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from trifacet.base.errors import DataError
from trifacet.base.json_text import UnusableJsonError, check_json, parse_json_at
from trifacet.base.opening import opened
from trifacet.data.parquet import parquet_file
from trifacet.data.rows import OnProblem, Row, Values, bounded, iter_rows, line_rows

LONGEST = 16 * 1024 * 1024  # bytes of a line or characters of an element: more is no row, and has to be held in memory
PEEKED = 1000  # rows of JSON that are looked at to learn its columns
_CHUNK = 1024 * 1024
_GAP = re.compile(r"[\s,]*")  # the empty text matches as well: there is always a match
_TELLING = re.compile(r"(?=\D*\d)\S{1,200}")  # an id, a number, a file's name or address: short, without spaces
_RUNS = re.compile(r"\d+|[^\W\d_]+")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class Peek(NamedTuple):
    """What the start of a file tells: its columns, its first row (None: it has none), and whether cells are text."""

    columns: list[str]
    first: Values | None
    text_only: bool


def peek(path: Path) -> Peek:
    """Look at the start of a file.

    Raises:
        DataError: it can't be read, is of no known kind, or its start holds no row.
    """
    problems: list[DataError] = []
    rows = [row.values for row in itertools.islice(read_rows(path, problems.append), PEEKED)]
    kind = _kind(path)
    if kind == "parquet":
        with parquet_file(path) as table:
            columns = list(table.schema_arrow.names)
    elif kind in _DELIMITERS.values():
        with _unpacked(path) as file:
            columns = _header(_csv_reader(_Lines(file, path), kind), path)
    else:
        columns = list(dict.fromkeys(name for row in rows for name in row))
    if not rows:
        raise problems[0] if problems else DataError("has no rows", fix="leave the file out", file=path)
    return Peek(columns, rows[0], kind in _DELIMITERS.values())


def read_rows(path: Path, on_problem: OnProblem) -> Iterator[Row]:
    """The rows of a file, one at a time.

    Args:
        path: the file; gzip is known by its first bytes.
        on_problem: called for each row that can't be read; reading goes on if it returns.

    Raises:
        DataError: the file as a whole, or the rest of it, can't be read.
    """
    kind = _kind(path)
    if kind == "parquet":
        yield from iter_rows(path, _of_a_row(on_problem))
        return
    with _unpacked(path) as file:
        if kind == "lines":
            yield from line_rows(bounded(file.readline, path, LONGEST), path, on_problem)
        elif kind == "array":
            yield from _array_rows(file, path, on_problem)
        else:
            yield from _csv_rows(file, kind, path, on_problem)


def _kind(path: Path) -> str:
    """``parquet``, ``lines``, ``array``, or the delimiter of a text table."""
    with _unpacked(path) as file:
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"PAR1"):
        return "parquet"
    if (delimiter := _DELIMITERS.get(plain_name(path).suffix.lower())) is not None:
        return delimiter
    if start.startswith(b"["):
        return "array"
    if start.startswith(b"{") or not start or plain_name(path).suffix in (".jsonl", ".ndjson"):
        return "lines"
    raise DataError("is neither JSON, CSV, TSV nor Parquet", fix="name tables .csv, .tsv or .jsonl", file=path)


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    with opened(path) as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            if packed:
                with gzip.open(raw) as file:
                    yield cast(IO[bytes], file)
            else:
                yield raw
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"damaged gzip ({error})", fix="pack it again", file=path) from None


def _of_a_row(on_problem: OnProblem) -> OnProblem:
    """Problems that name no row concern the whole file: they end the reading."""

    def call(problem: DataError) -> None:
        if problem.row is None:
            raise problem
        on_problem(problem)

    return call


class _Lines:
    """The lines of a text table, some of which may be given back; and those of the record that is read."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._lines, self._back = bounded(text.readline, path, LONGEST), deque[str]()
        self.number, self.record = 0, list[str]()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self.number += 1
        self.record.append(line)
        return line

    def begin(self) -> None:
        """A new record."""
        self.record = []

    def give_back(self) -> None:
        """All lines of the record but its first."""
        self._back.extendleft(reversed(self.record[1:]))
        self.number -= len(self.record) - 1


def _csv_reader(lines: Iterable[str], delimiter: str) -> Any:
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _header(reader: Any, path: Path) -> list[str]:
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise DataError(f"broken header ({error})", fix="name the columns in the first line", file=path) from None
    if not all(header) or len(set(header)) < len(header):
        raise DataError("has columns without a name or of the same name", fix="name each differently", file=path)
    if not all(map(_is_text, header)):
        raise DataError("its first line is not UTF-8 text", fix="save the file as UTF-8", file=path)
    return header


def _csv_rows(file: IO[bytes], delimiter: str, path: Path, on_problem: OnProblem) -> Iterator[Row]:
    """The rows; where a quote is not closed its line is told, and the lines behind it are rows again."""
    lines = _Lines(file, path)
    reader = _csv_reader(lines, delimiter)
    header = _header(reader, path)
    for number in itertools.count(1):
        problem = None
        lines.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines.give_back()
            problem = f"broken quotes or too long a cell, at line {lines.number} ({error})"
            cells = []
        if len(lines.record) > 1 and not problem and _swallowed(lines.record, delimiter, len(header)):
            lines.give_back()
            problem = f"line {lines.number} opens a quote that no cell of it closes"
        elif cells and len(cells) != len(header):
            problem = f"has {len(cells)} cells where the header has {len(header)}, up to line {lines.number}"
        elif not all(map(_is_text, cells)):
            problem = f"line {lines.number} is not UTF-8 text"
        if problem:
            fix = "write UTF-8, quote cells with line breaks, double the quotes inside"
            on_problem(DataError(problem, fix=fix, file=path, row=number))
        elif cells:
            yield Row(number, {name: cell or None for name, cell in zip(header, cells, strict=True)})


def _swallowed(record: list[str], delimiter: str, width: int) -> bool:
    """Whether a record of several lines is several rows: a quote was opened, and a later inch mark closed it.

    Each further line then has all cells of a row by itself, and cells that look like an id, a number or a name where
    the first line has such ones. Text that goes over several lines hardly ever has both.
    """
    rows = [line.rstrip("\r\n").split(delimiter) for line in record]
    if width < 2 or any(len(row) != width for row in rows[1:]):
        return False
    whole = [cell for cell in rows[0][: width - 1] if '"' not in cell]  # before the quote that is open
    telling = [place for place, cell in enumerate(whole) if _TELLING.fullmatch(cell)]
    shapes = [
        [_RUNS.sub(lambda run: "9" if run[0].isdigit() else "a", row[place]) for row in rows] for place in telling
    ]
    return bool(shapes) and all(len(set(column)) == 1 for column in shapes)


def _is_text(cell: str) -> bool:
    """Whether the cell is free of the surrogates that stand for bytes that are no UTF-8."""
    if cell.isascii():
        return True
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _array_rows(file: IO[bytes], path: Path, on_problem: OnProblem) -> Iterator[Row]:
    """The elements of an array; behind a broken one nothing more can be told apart, so that it ends the reading."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig")
    try:
        buffer, at = text.read(_CHUNK), 0
        at = buffer.index("[") + 1
        for number in itertools.count(1):
            while True:  # until the buffer holds a whole element
                at = _GAP.match(buffer, at).end()  # type: ignore[union-attr]
                if buffer[at : at + 1] == "]":
                    if (buffer[at + 1 :] + text.read(_CHUNK)).strip():
                        raise DataError("has more after its array", fix="write one array or JSON lines", file=path)
                    return
                try:
                    value, end = parse_json_at(buffer, at)
                    break
                except ValueError as error:
                    usable = len(buffer) - at < LONGEST and not isinstance(error, UnusableJsonError)
                    more = text.read(max(_CHUNK, len(buffer) - at)) if usable else ""
                    if not more:
                        fix = "repair it or write JSON lines, of which only the broken ones are left out"
                        raise DataError(f"broken JSON ({error})", fix=fix, file=path, row=number) from None
                    buffer, at = buffer[at:] + more, 0
            try:
                check_json(value, buffer[at:end])
            except UnusableJsonError as error:
                on_problem(DataError(f"cannot be used ({error})", fix="repair the row", file=path, row=number))
                continue
            finally:
                at = end
            if isinstance(value, dict):
                yield Row(number, value)
            else:
                what = f"is not a JSON object but {type(value).__name__}"
                on_problem(DataError(what, fix="write one object per row", file=path, row=number))
    except UnicodeDecodeError:
        raise DataError("is not UTF-8 text", fix="save the file as UTF-8", file=path) from None


def plain_name(path: Path) -> Path:
    """The name without ``.gz``."""
    return path.with_suffix("") if path.suffix == ".gz" else path
