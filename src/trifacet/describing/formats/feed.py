"""RSS and Atom feeds: pictures in the HTML of entries, and ``media:content`` with its ``media:description``.

Invariant: HTML stays escaped, or in CDATA, as it is, and is changed as pages are; pictures that a feed has no text for
(enclosures, thumbnails, the feed's logo) are listed and never changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from trifacet.describing.addresses import file_name, picture_at
from trifacet.describing.editing import Write, unique
from trifacet.describing.formats.found import check_result, editable, found, refuse_described
from trifacet.describing.formats.html import read_elements
from trifacet.describing.formats.markup import (
    MAX_XML,
    Element,
    Inside,
    Splice,
    as_utf8,
    back,
    escaped_text,
    qualified,
    read_xml,
    spliced,
    with_attribute,
)
from trifacet.describing.formats.plain_html import words_of_html
from trifacet.describing.place import Around, Edit, Place

ATOM, XHTML = "http://www.w3.org/2005/Atom", "http://www.w3.org/1999/xhtml"
RSS_1, MEDIA = "http://purl.org/rss/1.0/", "http://search.yahoo.com/mrss/"
CONTENT = "http://purl.org/rss/1.0/modules/content/ encoded"
_BEGINS = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?>(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>]*>)\s*+)*+<(?:rss|rdf:RDF|(?:\w{1,20}:)?feed)[\s>]",
    re.DOTALL,
)
_HTML = (CONTENT, "description", f"{RSS_1} description")
_ATOM_HTML = (f"{ATOM} content", f"{ATOM} summary")
_ENTRIES = ("item", f"{RSS_1} item", f"{ATOM} entry")
_PICTURE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif|svg|heic|bmp)(?:[?#]|$)", re.IGNORECASE)


class Spot(NamedTuple):
    """A place, and what has to change for an edit of it."""

    place: Place
    write: Callable[[Edit], Iterable[Splice]]


class Document:
    """A feed in UTF-8 with its tree."""

    def __init__(self, data: bytes, path: str) -> None:
        self.path = path
        self.data, self.encoding = as_utf8(data, path)
        self.root = read_xml(self.data, path)
        self._line, self._counted = 1, 0

    def line(self, at: int) -> int:
        """The line of a byte, from 1; asked in the order of the document it costs little."""
        if at < self._counted:
            self._line, self._counted = 1, 0
        self._line += self.data.count(b"\n", self._counted, at)
        self._counted = at
        return self._line

    def html(
        self, element: Element, around: Around, fixed: Callable[[bytes, Place], str] | None = None, more: str = ""
    ) -> Iterator[Spot]:
        """The pictures in the HTML that an element holds as text; ``around`` has what stands outside it.

        ``fixed`` says why one can't be changed; ``more`` are characters that texts are to have as references only.
        """
        inside = Inside(self.data, element)
        if b"<" not in inside.bytes:
            return
        line, text = self.line(element.inner), inside.bytes.decode("utf-8", "surrogateescape")
        places = unique([one for one, _ in read_elements(text, text, self.path, more)])
        for place, write in ((one.place, one.write) for one in places):
            about = replace(place.around, page=around.page, language=place.around.language or around.language)
            why = place.fixed or (fixed(inside.bytes, place) if fixed else "")
            here = line + (place.line or 1) - 1
            key = f"{element.start}:{place.key}"
            told = replace(place, key=key, around=about, fixed=why, line=here, column=None)
            yield Spot(told, _html_writer(inside, text, write))


Reader = Callable[[Document], Iterator[Spot]]


def edited(data: bytes, path: str, edits: Mapping[str, Edit], read: Reader) -> bytes:
    """A feed with other texts. Raises DataError as ``Format.edited`` says."""
    document = Document(data, path)
    spots = list(read(document))
    places = [spot.place for spot in spots]
    editable(places, edits, path)
    splices = [
        one
        for spot in spots
        if (edit := edits.get(spot.place.key)) is not None and _asks(edit, spot.place)
        for one in spot.write(edit)
    ]
    after = back(spliced(document.data, splices), document.encoding)
    check_result(places, [spot.place for spot in read(Document(after, path))], edits, path)
    return after


def _asks(edit: Edit, place: Place) -> bool:
    """Whether an edit changes anything."""
    same = edit.alt == place.alt and place.state != "missing"
    return not same or bool(edit.described_by or edit.source)


class Feed:
    """The format: see the module."""

    name = "feed"
    suffixes: Sequence[str] = (".rss", ".atom", ".rdf", ".xml")
    largest = MAX_XML

    def begins(self, start: bytes) -> bool:
        """Whether it is a feed, and no export of WordPress's."""
        return _BEGINS.match(start) is not None and b"http://wordpress.org/export/" not in start

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """The uses of pictures, in the order of the feed."""
        yield from (spot.place for spot in _read(Document(data, path)))

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """The feed with other texts."""
        return edited(data, path, edits, _read)


def _read(document: Document) -> Iterator[Spot]:
    root = document.root
    language = next((one.words for one in root.all("language")), "") or root.attributes.get(_LANG, "")

    def around(element: Element) -> Around:
        return Around(page=_title(element), language=language)

    for element in root.all():
        kind = element.attributes.get("type")
        if element.name in _HTML or (element.name in _ATOM_HTML and kind == "html"):
            yield from document.html(element, around(element))
        elif element.name in _ATOM_HTML and kind == "xhtml":
            yield from _xhtml(document, element, around(element))
        elif element.name == f"{MEDIA} content" and _shows_picture(element):
            yield _media(document, element, around(element))
        elif (fixed := _without_text(element)) is not None:
            picture = picture_at(_address(element))
            about = replace(around(element), file_name=file_name(picture))
            place = found(str(element.start), picture, None, about, fixed=fixed, line=document.line(element.start))
            yield Spot(place, lambda edit: ())


_LANG = "http://www.w3.org/XML/1998/namespace lang"


def _title(element: Element) -> str:
    """The title of the entry that an element stands in, else of the feed."""
    entry = element.within(*_ENTRIES) or element.within("channel", f"{ATOM} feed", f"{RSS_1} channel")
    title = (
        next((one for one in entry.elements if one.local == "title" and MEDIA not in one.name), None) if entry else None
    )
    return words_of_html(title.text) if title else ""


def _address(element: Element) -> str:
    url = element.child("url")
    return element.attributes.get("url") or element.attributes.get("href") or (url.words if url else "")


def _shows_picture(element: Element) -> bool:
    kind, medium = element.attributes.get("type", ""), element.attributes.get("medium", "")
    if kind or medium:
        return kind.startswith("image/") or medium == "image"
    return _PICTURE.search(element.attributes.get("url", "")) is not None


def _without_text(element: Element) -> str | None:
    """Why a picture of the feed can't have a text; None for what is no picture."""
    if element.name == f"{MEDIA} thumbnail":
        return "a thumbnail has no place for a text"
    linked = element.name == f"{ATOM} link" and element.attributes.get("rel") == "enclosure"
    if (element.name == "enclosure" or linked) and element.attributes.get("type", "").startswith("image/"):
        return "an enclosure has no place for a text"
    if element.name == "image" and element.parent is not None and element.parent.local == "channel":
        return "the feed's logo, whose text is the feed's title"
    return None


def _html_writer(inside: Inside, text: str, changes: Write | None) -> Callable[[Edit], Iterator[Splice]]:
    def write(edit: Edit) -> Iterator[Splice]:
        for start, end, new in changes(edit) if changes is not None else ():
            at = len(text[:start].encode("utf-8", "surrogateescape"))
            length = len(text[start:end].encode("utf-8", "surrogateescape"))
            yield inside.splice(at, at + length, new.encode())

    return write


def _xhtml(document: Document, content: Element, around: Around) -> Iterator[Spot]:
    """The pictures of XHTML that stands in the feed as it is."""
    for element in content.all(f"{XHTML} img"):
        link, block = (
            element.within(f"{XHTML} a"),
            element.within(*(f"{XHTML} {name}" for name in ("p", "figure", "div"))),
        )
        picture = picture_at(element.attributes.get("src", ""))
        about = replace(
            around,
            before=block.words[:2000] if block else "",
            link=link.attributes.get("href", "") if link else "",
            link_text=link.words[:2000] if link else "",
            title=element.attributes.get("title", ""),
            file_name=file_name(picture),
        )
        place = found(
            str(element.start),
            picture,
            element.attributes.get("alt"),
            about,
            emptied=True,
            line=document.line(element.start),
        )

        def write(edit: Edit, element: Element = element, key: str = place.key) -> Iterator[Splice]:
            refuse_described({key: edit}, document.path)
            yield with_attribute(document.data, element, "alt", edit.alt)

        yield Spot(place, write)


def _media(document: Document, element: Element, around: Around) -> Spot:
    told = element.child(f"{MEDIA} description")
    inside = Inside(document.data, told) if told else None
    picture = picture_at(element.attributes.get("url", ""))
    fixed = (
        ""
        if inside is None or (inside.sound and told and told.attributes.get("type") != "html")
        else "its description is HTML"
    )
    alt = told.text if told else None
    about = replace(around, file_name=file_name(picture))
    place = found(str(element.start), picture, alt, about, fixed=fixed, line=document.line(element.start))

    def write(edit: Edit) -> Iterator[Splice]:
        refuse_described({place.key: edit}, document.path)
        name = qualified(document.data, element).encode()
        own = (name.rpartition(b":")[0] + b":description").lstrip(b":")
        if inside is not None and not inside.element.empty:
            yield whole(inside, edit.alt)
        elif inside is not None:
            start, end = inside.element.start, inside.element.end
            yield Splice(start, end, b"<%s>%s</%s>" % (own, escaped_text(edit.alt), own))
        else:
            made = b"<%s>%s</%s>" % (own, escaped_text(edit.alt), own)
            if element.empty:
                slash = document.data.rindex(b"/", element.start, element.end)
                yield Splice(slash, element.end, b">%s</%s>" % (made, name))
            else:
                yield Splice(element.close, element.close, made)

    return Spot(place, write)


def whole(inside: Inside, text: str) -> Splice:
    """What gives an element another text, in CDATA where the old one is all in it."""
    element = inside.element
    escaped = escaped_text(text)
    if inside.runs and all(run.cdata for run in inside.runs):
        escaped = b"<![CDATA[%s]]>" % text.encode().replace(b"]]>", b"]]]]><![CDATA[>")
    return Splice(element.inner, element.close, escaped)


FORMAT = Feed()
