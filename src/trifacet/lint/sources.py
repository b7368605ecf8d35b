"""Which files are checked, and how each is read.

Invariant: a folder is never left through a link, and what is found in it comes in the order of its names. A document
can be read twice: standard input is held in memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trifacet.base.errors import DataError, TrifacetError
from trifacet.base.opening import is_folder, opened, read_bytes
from trifacet.data.rows import OnProblem
from trifacet.lint.columns import NO_COLUMN, Known, TextColumns
from trifacet.lint.documents import MAX_LINES, AltText, check_page, decoded, read_page, refuse_binary
from trifacet.lint.tables import first_bytes, read_csv, read_line_texts, read_row_texts

_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".xht": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".qmd": "markdown",
    ".rmd": "markdown",
    ".txt": "text",
}
DOCUMENT_FORMATS = ("auto", *dict.fromkeys(_SUFFIXES.values()))
_ROWS = ("jsonl", "json", "parquet")
_SKIPPED = {"node_modules", "__pycache__"}
STDIN = Path("-")


@dataclass(frozen=True)
class Document:
    """One thing to check. ``found`` says that it was found in a folder: it need not hold alt-texts then.

    ``known`` is what the first reading of rows has found out about their columns.
    """

    path: Path
    format: str
    data: bytes | None = None
    found: bool = False
    known: Known = field(default_factory=Known, compare=False)

    @property
    def name(self) -> str:
        """The path as it is shown, with forward slashes."""
        return "<stdin>" if self.path == STDIN else self.path.as_posix()

    @property
    def is_page(self) -> bool:
        """Whether it is small enough to be kept: pages are bounded, rows are not."""
        return self.format in ("html", "markdown")

    def read(self, columns: TextColumns, on_problem: OnProblem) -> Iterator[AltText]:
        """Its alt-texts; ``on_problem`` is called for what cannot be read."""
        anything = False

        def heard(problem: DataError) -> None:
            settings = self.format == "json" and not anything  # of programs, as they lie about in every folder
            if not (self.found and (settings or problem.problem == NO_COLUMN)):
                on_problem(problem)

        try:
            for alt in self._read(columns, heard):
                anything = True
                yield alt
        except DataError as problem:
            heard(problem)

    def _read(self, columns: TextColumns, on_problem: OnProblem) -> Iterator[AltText]:
        path, data = self.path, self.data
        if self.format in _ROWS:
            yield from read_row_texts(path, columns, on_problem, self.known, data)
        elif self.format in ("csv", "tsv"):
            yield from read_csv(path, columns, on_problem, self.known, tabs=self.format == "tsv", data=data)
        elif self.format == "text":
            yield from read_line_texts(decoded(self._lines(), path))
        else:
            page = read_page(path) if data is None else check_page(data, path)
            if self.format == "html":
                from trifacet.lint.pages import read_html

                yield from read_html(page, path)
            else:
                from trifacet.lint.markdown import read_markdown

                yield from read_markdown(decoded(page, path), path)

    def _lines(self) -> bytes:
        if self.data is None:
            refuse_binary(first_bytes(self.path), self.path)
            return read_bytes(self.path, MAX_LINES)
        refuse_binary(self.data[:8192], self.path)
        return self.data


def documents(paths: Sequence[Path], format: str = "auto") -> Iterator[Document]:
    """The documents that ``paths`` name: files, folders with all they hold, and ``-`` for standard input.

    Args:
        paths: the order is kept; a file that is named twice is read once.
        format: one of ``DOCUMENT_FORMATS``; "auto" goes by the file's ending, and takes standard input for one text
            per line.

    Raises:
        TrifacetError: a path that is neither, an ending that is not known.
    """
    seen: set[Path] = set()
    for path in paths:
        for document in _at(path, format):
            key = document.path if document.path == STDIN else document.path.resolve()
            if key not in seen:
                seen.add(key)
                yield document


def _at(path: Path, format: str) -> Iterator[Document]:
    if path == STDIN:
        kind = "text" if format == "auto" else format
        if kind in ("json", "parquet"):
            raise TrifacetError(f"standard input cannot be {kind}; give a file, or JSON lines with --format jsonl")
        yield Document(path, kind, _standard_input())
    elif is_folder(path):
        yield from _within(path, format)
    else:
        with opened(path):
            pass
        kind = _SUFFIXES.get(path.suffix.lower(), "") if format == "auto" else format
        if not kind:
            raise DataError(
                f"is of a kind that is not known ({path.suffix or 'no ending'})",
                fix=f"say which with --format {' | '.join(DOCUMENT_FORMATS[1:])}",
                file=path,
            )
        yield Document(path, kind)


def _within(folder: Path, format: str) -> Iterator[Document]:
    """Files of known endings but plain texts, which are seldom alt-texts; hidden folders and links are passed over."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        for name in sorted(files):
            path = Path(place, name)
            kind = _SUFFIXES.get(path.suffix.lower(), "")
            wanted = kind and (kind == format or (format == "auto" and kind != "text"))
            if wanted and not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield Document(path, kind, found=True)


def _standard_input() -> bytes:
    data = sys.stdin.buffer.read(MAX_LINES + 1)
    if len(data) > MAX_LINES:
        raise TrifacetError(f"standard input is longer than {MAX_LINES // 1_000_000} MB; give a file of rows")
    return data
