"""What a document holds to be checked: an alt-text with its place, whichever kind of file it came from.

Invariant: a document is bounded before it is parsed, and its bytes are text before a reader sees them.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from trifacet.base.errors import DataError
from trifacet.base.opening import opened

MAX_PAGE = 4_000_000  # bytes of an HTML or Markdown file: parsing hostile ones takes seconds per megabyte
MAX_LINES = 64_000_000  # bytes of standard input
MAX_TEXT = 1_000_000  # characters of one text; more is another column, or no alt-text at all


@dataclass(frozen=True)
class AltText:
    """One image's text. ``text`` None: none is given, which is not the same as an empty one.

    ``line`` and ``column`` count from 1, in characters; ``row`` is that of a file without lines. ``image`` says which
    image it is, "" where the document does not: it counts as one of its own. ``context`` are the words around it.
    ``unasked`` is why the rules are not to be asked: "decorative" (rightly empty) or "template" (filled in later).
    ``needed`` is why an empty text is wrong here; ``brief`` says that one word may do, as for a button or a link.
    ``field`` is the column that it stands in.
    """

    text: str | None
    line: int | None = None
    column: int | None = None
    row: int | None = None
    id: str = ""
    image: str = ""
    context: str | None = None
    unasked: str = ""
    needed: str = ""
    brief: bool = False
    field: str = ""


def read_page(path: Path) -> bytes:
    """The bytes of an HTML or Markdown file. Raises DataError: too large, binary, unreadable."""
    with opened(path) as file:
        return check_page(file.read(MAX_PAGE + 1), path)


def check_page(data: bytes, path: Path) -> bytes:
    """``data`` itself. Raises DataError: too large or binary."""
    if len(data) > MAX_PAGE:
        raise DataError(f"is larger than {MAX_PAGE // 1_000_000} MB", fix="split it", file=path)
    refuse_binary(data[:8192], path)
    return data


def refuse_binary(start: bytes, path: Path) -> None:
    """Raise DataError where the first bytes are no text's."""
    if b"\0" in start and encoding_of(start) == "utf-8-sig":
        raise DataError("is a binary file", fix="give text", file=path)


def encoding_of(start: bytes) -> str:
    """UTF-16 where the file begins with its mark, as spreadsheets write it; else UTF-8."""
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def decoded(data: bytes, path: Path) -> str:
    """The text of a file. Raises DataError naming the line that is not UTF-8."""
    try:
        return data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"line {line} is not UTF-8 text", fix="save the file as UTF-8", file=path) from None
