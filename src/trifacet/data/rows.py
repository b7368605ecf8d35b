"""Rows of a file, whatever they mean: JSON arrays, JSON lines and Parquet in, JSON arrays and JSON lines out.

Invariant: a row that leaves here is a plain JSON object with its 1-based number (the line number in JSON lines); what
can't be one is a DataError that names the line and the column.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from trifacet.base.errors import DataError
from trifacet.base.files import write_atomically
from trifacet.base.json_text import parse_json
from trifacet.base.opening import is_folder, opened, read_bytes
from trifacet.data.hub import hub_rows, is_hub
from trifacet.data.parquet import parquet_values

MAX_ARRAY = 1_000_000_000  # bytes of a JSON array, which is held whole; JSON lines may be longer
MAX_LINE = 64 * 1024 * 1024  # bytes of one of these: a row may hold a picture
MAX_SWELLING, MAX_SWELLED = 50, 1_000_000_000  # how often its size, and bytes besides, pictures in a file may have
Values = dict[str, Any]
OnProblem = Callable[[DataError], None]


class Row(NamedTuple):
    """One row: its number in the file and its fields."""

    number: int
    values: Values


def stop(problem: DataError) -> NoReturn:
    """The default for problems: the first one ends the reading."""
    raise problem


def iter_rows(path: Path, on_problem: OnProblem = stop, *, embedded: bool = False) -> Iterator[Row]:
    """The rows of ``path``; JSON lines and Parquet are streamed.

    Args:
        path: ``.parquet``, a JSON array, or one JSON object per line, whatever the ending says of the last two; or a
            folder of Parquet shards, read in the order of their names, their rows counted through; or a data set of
            the hub (``data.hub``).
        on_problem: called for each row, or rest of a file, that can't be read; reading goes on if it returns.
        embedded: keep the bytes of pictures that travel in Parquet (else they are None).

    Raises:
        DataError: no such file; whatever ``on_problem`` raises.
    """
    if is_hub(path):
        for number, values in enumerate(hub_rows(path), start=1):
            yield Row(number, plain(values, embedded=embedded))
        return
    if is_folder(path):
        yield from _shard_rows(path, on_problem, embedded)
        return
    with opened(path) as file:
        start = file.read(4096)
    if start.startswith(b"PAR1"):
        yield from _parquet_rows(path, on_problem, embedded)
    elif start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        yield from _array_rows(path, on_problem)
    else:
        with opened(path) as file:
            yield from line_rows(bounded(file.readline, path, MAX_LINE), path, on_problem)


def bounded(readline: Callable[[int], Any], path: Path, longest: int) -> Iterator[Any]:
    """The lines of a file. Raises DataError for one of ``longest`` bytes (or characters) or more, which is not held."""
    for number in itertools.count(1):
        line = readline(longest)
        if not line:
            return
        if len(line) == longest:
            raise DataError(f"line {number} is longer than {longest} bytes", fix="write one row per line", file=path)
        yield line


def write_rows(path: Path, rows: Sequence[Values]) -> None:
    """Write whole or not at all: a JSON array where the name ends in ``.json``, else one object per line."""
    if path.suffix == ".parquet":
        raise DataError("only the trifacet format is written as Parquet", fix="name it .json or .jsonl", file=path)
    if path.suffix == ".json":
        text = json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    else:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomically(path, text)


def line_rows(lines: Iterable[bytes], path: Path, on_problem: OnProblem) -> Iterator[Row]:
    """The rows of JSON lines; ``path`` is for the problems only."""
    for number, line in enumerate(lines, start=1):
        data = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not data.strip():
            continue
        try:
            values = _checked(_parse(data, path, number), path, number)
        except DataError as problem:
            on_problem(DataError(problem.problem, fix=problem.fix, file=path, row=number))
            continue
        yield Row(number, values)


def _array_rows(path: Path, on_problem: OnProblem) -> Iterator[Row]:
    try:
        array = _parse(read_bytes(path, MAX_ARRAY).removeprefix(b"\xef\xbb\xbf"), path)
    except DataError as problem:
        on_problem(problem)
        return
    for number, values in enumerate(array, start=1):
        try:
            row = Row(number, _checked(values, path, number))
        except DataError as problem:
            on_problem(problem)
            continue
        yield row


def _parse(data: bytes, path: Path, first_line: int = 1) -> Any:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + data[: error.start].count(b"\n")
        raise DataError(f"line {line} is not UTF-8 text", fix="save the file as UTF-8", file=path) from None
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(
            f"broken JSON at line {line}, column {error.colno} ({error.msg})",
            fix="write one JSON object per line, or one array of objects",
            file=path,
        ) from None
    except ValueError as error:
        raise DataError(
            f"JSON at or after line {first_line} cannot be read ({error})", fix="repair the row", file=path
        ) from None


def _checked(values: Any, path: Path, number: int) -> Values:
    if not isinstance(values, dict):
        raise DataError(
            f"is not a JSON object but {type(values).__name__}", fix="write one object per row", file=path, row=number
        )
    return values


def _shard_rows(folder: Path, on_problem: OnProblem, embedded: bool) -> Iterator[Row]:
    shards = sorted(folder.glob("*.parquet"))
    if not shards:
        raise DataError("holds no Parquet shard", fix="give a data file, or a folder of .parquet files", file=folder)
    number = 0
    for shard in shards:
        for row in _parquet_rows(shard, on_problem, embedded, number):
            number = row.number  # the next shard counts on
            yield row


def _parquet_rows(path: Path, on_problem: OnProblem, embedded: bool, number: int = 0) -> Iterator[Row]:
    found = parquet_values(path)
    seen: set[int] = set()
    used = 0
    while True:
        try:
            values = next(found, None)
        except DataError as problem:
            told = f"{problem.problem}, after row {number}" if number else problem.problem
            on_problem(DataError(told, fix=problem.fix, file=path))
            return
        if values is None:
            return
        number += 1
        if embedded and isinstance(values, dict):
            for data in _bytes_in(values):
                if (key := hash(data)) not in seen:
                    seen.add(key)
                    used += len(data)
            if used > MAX_SWELLED and used - MAX_SWELLED > path.stat().st_size * MAX_SWELLING:
                told = f"holds pictures of more than {MAX_SWELLING} times its size"
                on_problem(DataError(told, fix="write it without compression", file=path))
                return
        if isinstance(values, DataError):
            on_problem(DataError(values.problem, fix=values.fix, file=path, row=number))
        else:
            yield Row(number, plain(values, embedded=embedded))


def _bytes_in(value: Any) -> Iterator[bytes]:
    match value:
        case bytes():
            yield value
        case dict():
            for item in value.values():
                yield from _bytes_in(item)
        case list():
            for item in value:
                yield from _bytes_in(item)


def plain(value: Any, *, embedded: bool = False) -> Any:
    """JSON's types only: bytes are dropped unless ``embedded``, dates and the like become text."""
    match value:
        case dict():
            return {str(key): plain(item, embedded=embedded) for key, item in value.items()}
        case list() | tuple():
            return [plain(item, embedded=embedded) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return value if embedded else None
        case _:
            return str(value)
