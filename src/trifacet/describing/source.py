"""A document's bytes as text, and the way back: what is not changed keeps its bytes.

Invariant: the bytes of an edited document are the old ones but for the changes; where that can't be held, since the
bytes are none of the encoding's or an encoding shifts, nothing is changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trifacet.base.errors import DataError
from trifacet.lint.documents import check_page
from trifacet.lint.encodings import marked_encoding, page_encoding

_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
Change = tuple[int, int, str]  # from, to (characters of the text), and what stands there then


@dataclass(frozen=True)
class Source:
    """A document's ``text``, the ``mark`` before it and its ``encoding`` by Python's name."""

    data: bytes
    text: str
    mark: bytes
    encoding: str

    @classmethod
    def of_page(cls, data: bytes, path: str) -> Source:
        """As browsers decode a page. Raises DataError: too large or binary."""
        mark, encoding = page_encoding(check_page(data, Path(path)))
        return cls(data, data[len(mark) :].decode(encoding, "replace"), mark, encoding)

    @classmethod
    def of_text(cls, data: bytes, path: str) -> Source:
        """UTF-8, or UTF-16 by its mark. Raises DataError: too large, binary, or another encoding."""
        mark, encoding = marked_encoding(check_page(data, Path(path))) or (b"", "utf-8")
        try:
            return cls(data, data[len(mark) :].decode(encoding), mark, encoding)
        except UnicodeDecodeError as error:
            line = data[: len(mark) + error.start].count(b"\n") + 1
            raise DataError(f"line {line} is not UTF-8 text", fix="save the file as UTF-8", file=path) from None

    @property
    def fixed(self) -> str:
        """Why nothing in the document can be changed; "" where it can."""
        try:
            same = self.mark + self.text.encode(self.encoding) == self.data
        except UnicodeEncodeError:
            same = False
        return "" if same else f"its bytes are not all text in its encoding ({self.encoding})"

    def changed(self, changes: Iterable[Change], path: str, *, references: bool) -> bytes:
        """The bytes with the changes made.

        Args:
            changes: in any order, none within another; several at one place stand in the order given.
            path: for messages.
            references: what the encoding can't carry becomes a character reference, else it is an error.

        Raises:
            DataError: the encoding can't carry a character, or the other bytes would not stay.
        """
        pieces, old, reached = [self.mark], [self.mark], 0
        for start, end, wanted in sorted(changes, key=lambda change: change[:2]):
            if start < reached:
                raise DataError("two changes at the same place", fix="give one text for each picture", file=path)
            kept = self.text[reached:start].encode(self.encoding)
            pieces += kept, self._encoded(wanted, path, references)
            old += kept, self.text[start:end].encode(self.encoding)
            reached = end
        rest = self.text[reached:].encode(self.encoding)
        if b"".join([*old, rest]) != self.data:
            raise DataError(f"can't be changed in parts ({self.encoding})", fix="save it as UTF-8", file=path)
        return b"".join([*pieces, rest])

    def _encoded(self, wanted: str, path: str, references: bool) -> bytes:
        try:
            return wanted.encode(self.encoding, "xmlcharrefreplace" if references else "strict")
        except UnicodeEncodeError as error:
            char = wanted[error.start]
            raise DataError(
                f"its encoding ({self.encoding}) can't carry {char!r}", fix="save it as UTF-8", file=path
            ) from None


def fit(text: str, path: str) -> str:
    """``text`` itself. Raises DataError for a character that no document holds: control characters and the like."""
    if (found := _UNFIT.search(text)) is not None:
        raise DataError(f"a text holds the character U+{ord(found[0]):04X}", fix="leave it out", file=path)
    return text


def one_line(text: str, path: str) -> str:
    """The text with one blank for each run of white space, as formats without line breaks in texts take it."""
    return " ".join(fit(text, path).split())
