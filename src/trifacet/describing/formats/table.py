"""Tables of pictures: CSV, TSV, JSON lines and JSON arrays with a column of pictures and one of alt-texts.

Which columns these are ``lint/columns.py`` decides, unless they are named. Invariant: only cells of alt-texts change;
quotes, line ends, order and the spelling of every other cell stay. A data set's answers are no alt-texts of a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from trifacet.base.errors import DataError
from trifacet.data.rows import OnProblem, Row, Values
from trifacet.describing.formats.found import check_result, editable, found, refuse_described
from trifacet.describing.formats.json_spans import Change, Way, applied, json_text, json_values, with_values
from trifacet.describing.place import Around, Edit, Picture, Place
from trifacet.lint.columns import Chosen, Known, TextColumns, choose, look_over
from trifacet.lint.documents import encoding_of

MAX_TABLE = 128_000_000  # bytes
_DELIMITED = (".csv", ".tsv")
_KEYED = (".jsonl", ".ndjson", ".json")
_ANSWER = "it is an answer of a data set, not a text of its own"
_QUOTED = re.compile(r'"((?:[^"]++|"")*+)"')


class _Cell(NamedTuple):
    """A cell: what it says, from where to where it stands, whether in quotes."""

    text: str
    start: int
    end: int
    quoted: bool


@dataclass(frozen=True)
class Table:
    """The format: see the module. ``columns`` are those that the user names."""

    columns: TextColumns = field(default_factory=TextColumns)
    name: str = "table"
    suffixes: Sequence[str] = (*_DELIMITED, *_KEYED)
    largest: int = MAX_TABLE
    asked_only: bool = True

    def with_column(self, name: str) -> Table:
        """The format with the texts in that column."""
        return replace(self, columns=replace(self.columns, text=name), name=f"table:{name}")

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """A place for each row that shows a picture, or for each of its texts."""
        table = self._read(data, path)
        yield from (place for place, _ in table.places())

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """The table with other cells."""
        table = self._read(data, path)
        read = list(table.places())
        places = [place for place, _ in read]
        editable(places, edits, path)
        refuse_described(edits, path)
        if not edits:
            return data
        wanted = [(at, edits[place.key].alt) for place, at in read if place.key in edits]
        after = table.encoded(applied(table.text, table.changes(wanted)))
        check_result(places, list(self.places(after, path)), edits, path)
        return after

    def _read(self, data: bytes, path: str) -> _Rows:
        if len(data) > MAX_TABLE:
            raise DataError(f"is larger than {MAX_TABLE // 1_000_000} MB", fix="split it", file=path)
        if path.endswith(_KEYED):
            return _Keyed(data, path, self.columns)
        return _Delimited(data, path, self.columns)


class _At(NamedTuple):
    """Where a text is: number of the row, and of the text among those of a list."""

    row: int
    item: int | None


class _Rows:
    """The rows of a table with what their places need."""

    text: str

    def __init__(self, path: str, columns: TextColumns) -> None:
        self.path = path
        known = Known()
        look_over(self._rows, known)
        try:
            self.chosen: Chosen = choose(known, columns, Path(path))
        except DataError as error:  # lint's option is none of these commands
            cure = error.fix.replace("--column", "--format table:COLUMN")
            raise DataError(error.problem, fix=cure, file=path) from None
        self.fixed = "" if self.chosen.name in known.names else _ANSWER

    def places(self) -> Iterator[tuple[Place, _At]]:
        """The places in the order of the rows."""
        for number, row in enumerate(self._rows(lambda problem: None)):
            whole = row.values.get(self.chosen.name)
            for item, (alt, context, image) in enumerate(self.chosen.read(row.values)):
                at = _At(number, item if isinstance(whole, list) else None)
                key = f"{number}" if at.item is None else f"{number}/{item}"
                name = re.split(r"[?#]", image)[0].rpartition("/")[2]
                remote = re.match(r"(?:https?:)?//", image) is not None
                picture = Picture("remote" if remote else "file" if image else "none", image)
                around = Around(before=context or "", title=_title(row.values), file_name=name)
                yield found(key, picture, alt, around, fixed=self.fixed or _fixed(whole), line=row.number), at

    def changes(self, wanted: Sequence[tuple[_At, str]]) -> list[Change]:
        """What has to be written for these texts."""
        raise NotImplementedError

    def encoded(self, text: str) -> bytes:
        """The file's bytes."""
        return text.encode()

    def _rows(self, on_problem: OnProblem) -> Iterator[Row]:
        raise NotImplementedError


class _Keyed(_Rows):
    """JSON lines, or an array of objects."""

    def __init__(self, data: bytes, path: str, columns: TextColumns) -> None:
        self.text = json_text(data, path)
        self._values = list(json_values(self.text, path))
        self._array = len(self._values) == 1 and isinstance(self._values[0].value, list)
        super().__init__(path, columns)

    def _rows(self, on_problem: OnProblem) -> Iterator[Row]:
        rows = self._values[0].value if self._array else [one.value for one in self._values]
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                raise DataError("a row is no JSON object", fix="write one object a row", file=self.path, row=number + 1)
            yield Row(number + 1 if self._array else self._values[number].line, row)

    def changes(self, wanted: Sequence[tuple[_At, str]]) -> list[Change]:
        by_start: dict[int, dict[Way, Any]] = {}
        for at, alt in wanted:
            item = () if at.item is None else (at.item,)
            one, way = (0, (at.row,)) if self._array else (at.row, ())
            by_start.setdefault(self._values[one].start, {})[(*way, self.chosen.name, *item)] = alt
        return [change for start, values in by_start.items() for change in with_values(self.text, start, values)]


class _Delimited(_Rows):
    """CSV or TSV with a header."""

    def __init__(self, data: bytes, path: str, columns: TextColumns) -> None:
        self._encoding = encoding_of(data)
        if self._encoding == "utf-16":
            self._encoding = "utf-16-le" if data.startswith(b"\xff\xfe") else "utf-16-be"
        else:
            self._encoding = "utf-8"
        try:
            self.text = data.decode(self._encoding)
        except UnicodeDecodeError:
            raise DataError("is not UTF-8 text", fix="save the file as UTF-8", file=path) from None
        if "\0" in self.text:
            raise DataError("holds a NUL", fix="give text", file=path)
        start = self.text.startswith("\ufeff")
        header = self.text[start : self.text.find("\n") if "\n" in self.text else None]
        self._delimiter = "\t" if path.lower().endswith(".tsv") else max(",;\t", key=header.count)
        self._cells = list(_cells(self.text, int(start), self._delimiter, path))
        if not self._cells:
            raise DataError("has no row", fix="give a header and one row per image", file=path)
        self._names = [cell.text for cell in self._cells[0][1]]
        super().__init__(path, columns)

    def encoded(self, text: str) -> bytes:
        return text.encode(self._encoding)

    def _rows(self, on_problem: OnProblem) -> Iterator[Row]:
        for line, cells in self._cells[1:]:
            texts = [cell.text for cell in cells]
            yield Row(line, dict.fromkeys(self._names) | dict(zip(self._names, texts, strict=False)))

    def changes(self, wanted: Sequence[tuple[_At, str]]) -> list[Change]:
        column = self._names.index(self.chosen.name)
        changes = []
        for at, alt in wanted:
            line, cells = self._cells[at.row + 1]
            if column >= len(cells):
                raise DataError("has too few cells for a text", fix="fill the row up", file=self.path, row=line)
            others = [cell for cell in cells if cell.text and cell is not cells[column]]
            cell = cells[column]
            quoted = cell.quoted or (bool(others) and all(other.quoted for other in others))
            needed = alt != alt.strip() or any(char in alt for char in (self._delimiter, '"', "\n", "\r"))
            written = '"' + alt.replace('"', '""') + '"' if quoted or needed else alt
            changes.append(Change(cell.start, cell.end, written))
        return changes


def _cells(text: str, at: int, delimiter: str, path: str) -> Iterator[tuple[int, list[_Cell]]]:
    """The rows, each with its line and its cells; empty lines are none.

    Raises:
        DataError: a quote that nothing closes, or that something else follows.
    """
    bare = re.compile(rf"[^{delimiter}\r\n]*")
    line, cells = 1, list[_Cell]()
    row_line = 1
    while at < len(text) or cells:
        if text.startswith('"', at):
            found = _QUOTED.match(text, at)
            end = found.end() if found else -1
            if found is None or text[end : end + 1] not in (delimiter, "\r", "\n", ""):
                raise DataError("opens a quote that no cell closes", fix="check its quotes", file=path, row=line)
            cells.append(_Cell(found[1].replace('""', '"'), at, end, True))
            line += found[0].count("\n")
        else:
            end = bare.match(text, at).end()  # type: ignore[union-attr]
            cells.append(_Cell(text[at:end], at, end, False))
        at = end
        if text.startswith(delimiter, at):
            at += 1
            continue
        if any(cell.text or cell.quoted for cell in cells) or len(cells) > 1:
            yield row_line, cells
        cells = []
        at += 2 if text.startswith("\r\n", at) else 1
        line += 1
        row_line = line


def _fixed(value: Any) -> str:
    """Why what stands in the column of texts can't be changed."""
    texts = value if isinstance(value, list) else [value]
    plain = all(text is None or isinstance(text, str) for text in texts)
    return "" if plain else _ANSWER


def _title(values: Values) -> str:
    return next((value for name in ("title", "name") if isinstance(value := values.get(name), str)), "")


FORMAT = Table()
