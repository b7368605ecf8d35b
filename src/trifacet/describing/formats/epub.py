"""EPUB books: the pictures of their pages, in the order of reading, changed as pages are.

Invariant: only pages that are edited change within the archive; pages behind a rights management, and pictures that are
pages of their own (SVG), are listed and never changed, nor is anything in a book that is signed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple
from urllib.parse import unquote

from trifacet.base.errors import DataError
from trifacet.describing.formats.found import editable, found
from trifacet.describing.formats.html import FORMAT as PAGES
from trifacet.describing.formats.markup import Element, as_utf8, read_xml
from trifacet.describing.formats.zipped import MAX_ARCHIVE, Archive
from trifacet.describing.long_descriptions import NoLongDescriptionsError
from trifacet.describing.place import Around, Edit, Picture, Place

_CONTAINER, _SIGNED, _LOCKED = "META-INF/container.xml", "META-INF/signatures.xml", "META-INF/encryption.xml"
_PAGE, _DRAWING = ("application/xhtml+xml", "text/html"), "image/svg+xml"


class Epub:
    """The format: see the module."""

    name = "epub"
    suffixes: Sequence[str] = (".epub",)
    largest = MAX_ARCHIVE
    takes_long = True

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """The uses of pictures, page by page in the order of reading."""
        book = _Book(data, path)
        for page in book.pages:
            yield from book.places(page)

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """The book with other texts; each page is checked as pages are."""
        book = _Book(data, path)
        if book.version < "3" and any(edit.long for edit in edits.values()):
            raise NoLongDescriptionsError("a book of EPUB 2 has no place for one", fix="write it by hand", file=path)
        by_page: dict[str, dict[str, Edit]] = {}
        editable([place for page in book.pages for place in book.places(page)], edits, path)
        for key, edit in edits.items():
            page, _, inner = key.rpartition("#")
            by_page.setdefault(page, {})[inner] = edit
        pages = {page: PAGES.edited(book.archive.read(page), page, some) for page, some in by_page.items()}
        return book.archive.replaced(pages)


class _Page(NamedTuple):
    name: str
    drawing: bool


class _Book:
    """What an EPUB's package says of it."""

    def __init__(self, data: bytes, path: str) -> None:
        self.path, self.archive = path, Archive(data, path)
        package = self._package()
        root, folder = self._tree(package), posixpath.dirname(package)
        self.version = root.attributes.get("version", "2")
        self.title, self.language = _said(root, "title"), _said(root, "language")
        self.fixed = "the book is signed, and a change would break that" if _SIGNED in self.archive else ""
        self._locked = self._locked_members()
        items = {one.attributes.get("id", ""): one for one in root.all("item")}
        read = [items[name] for one in root.all("itemref") if (name := one.attributes.get("idref", "")) in items]
        self.pages: list[_Page] = []
        for item in dict.fromkeys([*read, *items.values()]):  # what is not read in order, such as notes, is read last
            name = _member(folder, item.attributes.get("href", ""))
            kind = item.attributes.get("media-type", "")
            as_page = kind in _PAGE or (kind == _DRAWING and item in read)
            if as_page and name in self.archive and _Page(name, kind == _DRAWING) not in self.pages:
                self.pages.append(_Page(name, kind == _DRAWING))

    def places(self, page: _Page) -> Iterator[Place]:
        """The places of a page, with keys that name it."""
        name = page.name
        if name in self._locked:
            raise DataError(
                f"its page {name!r} is encrypted", fix="take a copy without rights management", file=self.path
            )
        if page.drawing:
            about = Around(page=self.title, language=self.language, file_name=posixpath.basename(name))
            picture = Picture("svg", name, name)
            yield found(f"{name}#", picture, None, about, fixed="the page is a drawing: its <title> gives its text")
            return
        for place in PAGES.places(self.archive.read(name), name):
            around = replace(
                place.around, page=place.around.page or self.title, language=place.around.language or self.language
            )
            picture = place.picture
            if (
                picture.source == "file"
                and (member := _member(posixpath.dirname(name), picture.address)) in self.archive
            ):
                picture = replace(picture, file=member)
            fixed = place.fixed or self.fixed
            told = replace(place, key=f"{name}#{place.key}", around=around, picture=picture, fixed=fixed)
            yield replace(told, line=None, column=None)  # they would be those of the page, not of the book

    def _package(self) -> str:
        if _CONTAINER in self.archive:
            for one in self._tree(_CONTAINER).all("rootfile"):
                if (name := one.attributes.get("full-path", "")) in self.archive:
                    return name
        raise DataError("is no EPUB: it names no package", fix="make it anew", file=self.path)

    def _tree(self, name: str) -> Element:
        where = f"{self.path}: {name}"
        return read_xml(as_utf8(self.archive.read(name), where)[0], where, namespaces=False)

    def _locked_members(self) -> frozenset[str]:
        if _LOCKED not in self.archive:
            return frozenset()
        references = self._tree(_LOCKED).all("CipherReference")
        return frozenset(_member("", one.attributes.get("URI", "")) for one in references)


def _said(root: Element, name: str) -> str:
    first = root.first(name)
    return first.words[:500] if first else ""


def _member(folder: str, address: str) -> str:
    """The member that an address in a folder of the archive names."""
    bare = address.partition("#")[0].partition("?")[0]
    return posixpath.normpath(posixpath.join(folder, unquote(bare)))


FORMAT = Epub()
