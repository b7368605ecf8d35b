"""XML with the places of its parts in the bytes, for edits that leave every other byte as it was.

Invariant: what is read is well-formed and declares no entity, nothing outside is fetched, and names are taken with
their namespaces. Spans are of the bytes that were given; a new value is written so that it reads back as it was meant.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from xml.parsers import expat

from trifacet.base.errors import DataError

MAX_XML = 64_000_000  # bytes
MAX_ELEMENTS = 500_000
DEEPEST = 500  # elements inside each other
_DECLARED = re.compile(rb"\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([\w.:-]+)")
_ENCODINGS = re.compile(
    r"utf-?8|utf-?16(?:-?[lb]e)?|us-ascii|ascii|iso-?8859-\d+|latin-?\d|windows-\d+|cp\d+|koi8-[ru]|gb2312|gbk|gb18030"
    r"|big5|euc-(?:jp|kr)|shift_jis|mac-?\w+"
)
_TAG = re.compile(rb"<([^\s/>=\"'<]+)((?:\s+[^\s=>/]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*(/?)>")
_ATTRIBUTE = re.compile(rb"\s+([^\s=>/]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_IN_ATTRIBUTE = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_QUOTES = {'"': "&quot;", "'": "&#39;"}


class Splice(NamedTuple):
    """Bytes to put in the place of others."""

    start: int
    end: int
    new: bytes


@dataclass(eq=False, slots=True)
class Element:
    """An element with its spans.

    Attributes:
        name: "namespace local", or the name alone where it has no namespace.
        attributes: values by names of the same form.
        start: of the start tag.
        inner: behind it, where the content begins.
        close: of the end tag; that of the content where it has none.
        end: behind it all.
        children: elements and texts.
    """

    name: str
    attributes: dict[str, str]
    start: int
    inner: int = 0
    close: int = 0
    end: int = 0
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    @property
    def local(self) -> str:
        """The name without its namespace."""
        return self.name.rpartition(" ")[2]

    @property
    def empty(self) -> bool:
        """Whether it is one tag, closed in itself."""
        return self.inner == self.close == self.end

    @property
    def elements(self) -> list[Element]:
        """Its children but for texts."""
        return [child for child in self.children if isinstance(child, Element)]

    def all(self, *names: str) -> Iterator[Element]:
        """It and all elements below, in their order, of these names (none: of every name)."""
        stack = [self]
        while stack:
            one = stack.pop()
            if not names or one.name in names:
                yield one
            stack.extend(reversed(one.elements))

    def first(self, *names: str) -> Element | None:
        """The first one below of these names."""
        return next((one for one in self.all(*names) if one is not self), None)

    def child(self, name: str) -> Element | None:
        """The first child of this name."""
        return next((one for one in self.elements if one.name == name), None)

    def within(self, *names: str) -> Element | None:
        """The nearest element around it of one of these names."""
        around = self.parent
        while around is not None and around.name not in names:
            around = around.parent
        return around

    @property
    def text(self) -> str:
        """All text below, as it stands."""
        parts: list[str] = []
        stack: list[Element | str] = [self]
        while stack:
            one = stack.pop()
            if isinstance(one, str):
                parts.append(one)
            else:
                stack.extend(reversed(one.children))
        return "".join(parts)

    @property
    def words(self) -> str:
        """The same in one line."""
        return " ".join(self.text.split())


def read_xml(data: bytes, path: str, *, namespaces: bool = True) -> Element:
    """The tree of a document in UTF-8, whatever it declares; the root element.

    Without ``namespaces`` elements have their names alone; attributes keep theirs.

    Raises:
        DataError: it is too large, not well-formed, or declares entities.
    """
    if len(data) > MAX_XML:
        raise DataError(f"is larger than {MAX_XML // 1_000_000} MB", fix="split it", file=path)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError("is UTF-16, which is not read here", fix="save it as UTF-8", file=path)
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    parser.buffer_text = True
    document = Element("", {}, 0)
    here, open_ones = [document], list[bool]()
    count = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MAX_ELEMENTS or len(here) > DEEPEST:
            told = f"{MAX_ELEMENTS} elements" if count > MAX_ELEMENTS else f"{DEEPEST} elements inside each other"
            raise DataError(f"holds more than {told}", fix="split it", file=path)
        name = name if namespaces else name.rpartition(" ")[2]
        element = Element(name, attributes, parser.CurrentByteIndex, parent=here[-1])
        tag = _TAG.match(data, element.start)
        if tag is None:
            raise DataError(f"line {parser.CurrentLineNumber} can't be read", fix="mend it", file=path)
        element.inner = element.close = element.end = tag.end()
        open_ones.append(not tag[3])
        here[-1].children.append(element)
        here.append(element)

    def end(name: str) -> None:
        element = here.pop()
        if open_ones.pop():  # it has an end tag
            element.close = parser.CurrentByteIndex
            element.end = data.index(b">", element.close) + 1

    def text(characters: str) -> None:
        here[-1].children.append(characters)

    def declared(*declaration: Any) -> None:
        line = parser.CurrentLineNumber
        raise DataError(f"line {line} declares an entity", fix="write out what it stands for", file=path)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.EntityDeclHandler = declared
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        told = f"line {error.lineno} is not well-formed XML ({expat.errors.messages[error.code]})"
        raise DataError(told, fix="mend it", file=path) from None
    root = document.elements[0]
    root.parent = None
    return root


def as_utf8(data: bytes, path: str) -> tuple[bytes, str]:
    """XML in UTF-8, and the encoding that it was in: ``back`` undoes it.

    Raises:
        DataError: the bytes are not what it declares, or do not come back from text as they were.
    """
    declared = _DECLARED.match(data.removeprefix(codecs.BOM_UTF8))
    encoding = declared[1].decode("ascii").lower() if declared else "utf-8"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16-le" if data.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    try:
        text = data.decode(encoding)
        sound = text.encode(encoding) == data and _ENCODINGS.fullmatch(encoding) is not None
        utf8 = text.encode()
    except (LookupError, ValueError):
        sound = False
    if not sound:
        raise DataError(f"is not in the encoding that it says ({encoding[:40]})", fix="save it as UTF-8", file=path)
    return utf8, encoding


def back(data: bytes, encoding: str) -> bytes:
    """The bytes in their own encoding; characters that it lacks become references."""
    return data.decode().encode(encoding, "xmlcharrefreplace")


def spliced(data: bytes, splices: Iterable[Splice]) -> bytes:
    """``data`` with parts replaced, which do not overlap."""
    parts, at = [], 0
    for start, end, new in sorted(splices):
        assert start >= at, "parts overlap"
        parts += [data[at:start], new]
        at = end
    return b"".join([*parts, data[at:]])


def with_attribute(data: bytes, element: Element, name: str, value: str) -> Splice:
    """What gives an element an attribute without a prefix; an old value's quotes stay.

    Raises:
        DataError: the value holds what XML has no way to write.
    """
    tag = _TAG.match(data, element.start)
    assert tag is not None
    for found in _ATTRIBUTE.finditer(data, tag.start(2), tag.end(2)):
        if found[1] == name.encode():
            quote = found[2][:1].decode()
            return Splice(found.start(2) + 1, found.end(2) - 1, escaped(value, quote))
    return Splice(tag.end(2), tag.end(2), b' %s="%s"' % (name.encode(), escaped(value, '"')))


def qualified(data: bytes, element: Element) -> str:
    """The name as it is written, with its prefix."""
    tag = _TAG.match(data, element.start)
    assert tag is not None
    return tag[1].decode()


def escaped(value: str, quote: str) -> bytes:
    """A value as it stands in an attribute with these quotes. Raises DataError: it holds what XML can't."""
    refuse_forbidden(value)
    escapes = _ESCAPES | _IN_ATTRIBUTE | {quote: _QUOTES[quote]}
    return "".join(escapes.get(char, char) for char in value).encode()


def escaped_text(value: str, quote: str = "") -> bytes:
    """The same between tags; ``quote`` is escaped too. Raises alike."""
    refuse_forbidden(value)
    escapes = _ESCAPES | {"\r": "&#13;"} | ({quote: _QUOTES[quote]} if quote else {})
    return "".join(escapes.get(char, char) for char in value).encode()


def refuse_forbidden(value: str) -> None:
    """Raise DataError where a value holds control characters or halves of surrogate pairs."""
    if (found := _FORBIDDEN.search(value)) is not None:
        raise DataError(f"a text holds {found[0]!r}, which XML can't", fix="leave it out")


# --- texts inside an element, escaped or in CDATA ---------------------------------------------------------------

_PIECE = re.compile(rb"<!\[CDATA\[(.*?)\]\]>|&(#[xX]?[0-9a-fA-F]+|\w+);|<!--.*?-->|<\?.*?\?>", re.DOTALL)
_NAMED = {b"amp": b"&", b"lt": b"<", b"gt": b">", b"quot": b'"', b"apos": b"'"}


class _Run(NamedTuple):
    """Bytes of a text that stand together: as they are, or as one reference."""

    at: int  # in the text
    length: int
    start: int  # in the document
    end: int
    cdata: bool


class Inside:
    """The text that an element without elements in it holds, as bytes, and where each of them is in the document.

    Line ends stay as they are written. ``sound`` says whether all of it can be mapped.
    """

    def __init__(self, data: bytes, element: Element) -> None:
        self.data, self.element = data, element
        self.sound = not element.elements
        self.runs: list[_Run] = []
        self.bytes = self._read() if self.sound else b""

    def _read(self) -> bytes:
        parts: list[bytes] = []
        length = 0

        def add(text: bytes, start: int, end: int, cdata: bool) -> None:
            nonlocal length
            if text:
                self.runs.append(_Run(length, len(text), start, end, cdata))
                parts.append(text)
                length += len(text)

        at, stop = self.element.inner, self.element.close
        for found in _PIECE.finditer(self.data, at, stop):
            add(self.data[at : found.start()], at, found.start(), False)
            if found[1] is not None:
                add(found[1], found.start(1), found.end(1), True)
            elif found[2] is not None:
                add(_reference(found[2]), found.start(), found.end(), False)
            at = found.end()
        add(self.data[at:stop], at, stop, False)
        return b"".join(parts)

    def splice(self, start: int, end: int, new: bytes) -> Splice:
        """What replaces a part of the text, written as its surroundings are.

        Raises:
            DataError: the part goes over the end of a CDATA section.
        """
        if not self.runs:
            return Splice(self.element.inner, self.element.close, b"<![CDATA[%s]]>" % _cdata(new))
        first, last = self._run(start), self._run(max(end - 1, start))
        begin = self._place(first, start)
        stop = begin if end == start else self._place(last, end)
        if first.cdata != last.cdata:
            raise DataError("a text goes over the end of a CDATA section", fix="write it in one")
        if first.cdata:
            return Splice(begin, stop, _cdata(new, self.data[begin - 2 : begin], self.data[stop : stop + 2]))
        quote = '"' if b"&quot;" in self.data[self.element.inner : self.element.close] else ""
        return Splice(begin, stop, escaped_text(new.decode(), quote))

    def _run(self, at: int) -> _Run:
        """The run that a place stands in; of the end the last one."""
        return self.runs[bisect_right(self.runs, at, key=lambda run: run.at) - 1]

    @staticmethod
    def _place(run: _Run, at: int) -> int:
        if run.length == run.end - run.start:
            return run.start + at - run.at
        return run.start if at == run.at else run.end


def _cdata(text: bytes, before: bytes = b"", behind: bytes = b"") -> bytes:
    """A text for a CDATA section, which is ended and begun anew where the text would end it with what is around."""
    whole, parts, at = before + text + behind, [], 0
    for found in re.finditer(rb"\]\]>", whole):
        split = min(max(found.start() + 2 - len(before), at), len(text))
        parts += [text[at:split], b"]]><![CDATA["]
        at = split
    return b"".join([*parts, text[at:]])


def _reference(name: bytes) -> bytes:
    if name.startswith(b"#"):
        return chr(int(name[2:], 16) if name[1:2] in b"xX" else int(name[1:])).encode("utf-8", "surrogatepass")
    return _NAMED.get(name, b"&" + name + b";")
