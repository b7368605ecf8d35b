"""What Word and PowerPoint share: parts and their relations, drawings with a description or marked as decorative.

Invariant: a drawing's text is its ``descr``; without one it is decorative where the mark says so, else its text is
missing, since both programs leave out an empty ``descr``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from trifacet.base.errors import DataError
from trifacet.describing.formats.found import check_result, editable, refuse_described
from trifacet.describing.formats.markup import Element, Splice, read_xml, spliced, with_attribute
from trifacet.describing.formats.zipped import MAX_ARCHIVE, Archive
from trifacet.describing.place import Edit, Picture, Place, Source
from trifacet.lint.names import LONGEST_CONTEXT

_MAIN = "http://schemas.openxmlformats.org/drawingml/2006/main"
_MARK = (
    b'<a:ext xmlns:a="%s" uri="{C183D7F6-B498-43B3-948B-1728B52AA6E4}"><adec:decorative '
    b'xmlns:adec="http://schemas.microsoft.com/office/drawing/2017/decorative" val="1"/></a:ext>' % _MAIN.encode()
)
_LIST = b'<a:extLst xmlns:a="%s">%s</a:extLst>' % (_MAIN.encode(), _MARK)
_FEW = 2000  # pieces of a text that are looked at
SIGNED = "the document is signed, and a change would break that"


class Relation(NamedTuple):
    """What a part refers to: a part of the archive, or an address outside it."""

    kind: str
    target: str
    outside: bool


class Drawing(NamedTuple):
    """An element that carries a description, in its part; ``attribute`` is where that stands."""

    part: str
    element: Element
    attribute: str = "descr"

    @property
    def decorative(self) -> bool:
        """Whether it is marked so."""
        mark = _mark(self.element)
        return mark is not None and mark.attributes.get("val", "1") in ("1", "true", "on")

    @property
    def alt(self) -> str | None:
        """Its text: "" where it is decorative, None where it has none."""
        if self.decorative:
            return ""
        text = self.element.attributes.get(self.attribute)
        return text if text or self.attribute == "alt" else None


class Package:
    """An Office document: its parts as trees, read once."""

    def __init__(self, data: bytes, path: str) -> None:
        self.archive, self.path = Archive(data, path), path
        self._trees: dict[str, tuple[bytes, Element]] = {}

    def bytes_of(self, part: str) -> bytes:
        """A part's bytes."""
        return self._part(part)[0]

    def tree(self, part: str) -> Element:
        """A part's root, whose elements have their names without a namespace. Raises DataError for a broken one."""
        return self._part(part)[1]

    def relations(self, part: str = "") -> dict[str, Relation]:
        """What a part refers to, by id; "" is the whole document."""
        folder, name = posixpath.split(part)
        rels = posixpath.join(folder, "_rels", f"{name}.rels")
        if rels not in self.archive:
            return {}
        found = {}
        for one in self.tree(rels).all("Relationship"):
            target, outside = one.attributes.get("Target", ""), one.attributes.get("TargetMode") == "External"
            if not outside:
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            kind = one.attributes.get("Type", "").rpartition("/")[2]
            found[one.attributes.get("Id", "")] = Relation(kind, target, outside)
        return found

    def main(self) -> str:
        """The part that the document begins with. Raises DataError: there is none."""
        for relation in self.relations().values():
            if relation.kind == "officeDocument" and relation.target in self.archive:
                return relation.target
        raise DataError("is no Office document: it names no main part", fix="save it anew", file=self.path)

    @property
    def title(self) -> str:
        """The document's title, of its properties."""
        name = "docProps/core.xml"
        title = self.tree(name).child("title") if name in self.archive else None
        return title.words[:LONGEST_CONTEXT] if title else ""

    @property
    def fixed(self) -> str:
        """Why nothing in it can be changed."""
        signed = any(relation.kind == "origin" for relation in self.relations().values())
        return SIGNED if signed or any(name.startswith("_xmlsignatures/") for name in self.archive.names) else ""

    def edited(self, drawings: Mapping[str, Drawing], edits: Mapping[str, Edit]) -> bytes:
        """The document with other texts of some drawings. Raises DataError: one can't be written."""
        splices: dict[str, list[Splice]] = {}
        for key, edit in edits.items():
            drawing = drawings[key]
            changes = splices.setdefault(drawing.part, [])
            changes += _splices(self.bytes_of(drawing.part), drawing, edit.alt)
        return self.archive.replaced({part: spliced(self.bytes_of(part), some) for part, some in splices.items()})

    def _part(self, part: str) -> tuple[bytes, Element]:
        if part not in self._trees:
            data = self.archive.read(part)
            self._trees[part] = data, read_xml(data, f"{self.path}: {part}", namespaces=False)
        return self._trees[part]


@dataclass
class OfficeFormat:
    """A format: its name, its endings, and what reads the places of a package with their drawings, in order."""

    name: str
    suffixes: Sequence[str]
    read: Callable[[Package], Iterator[tuple[Place, Drawing]]]
    largest = MAX_ARCHIVE

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """The uses of pictures."""
        yield from (place for place, _ in self.read(Package(data, path)))

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """The document with other texts; "" marks a drawing as decorative."""
        package = Package(data, path)
        read = list(self.read(package))
        places = [place for place, _ in read]
        editable(places, edits, path)
        refuse_described(edits, path)
        after = package.edited({place.key: drawing for place, drawing in read}, edits)
        check_result(places, list(self.places(after, path)), edits, path)
        return after


def related(element: Element, name: str, relations: Mapping[str, Relation]) -> Relation | None:
    """What an attribute of the relations' namespace refers to."""
    for key, value in element.attributes.items():
        if key.endswith(f" {name}") and value in relations:
            return relations[value]
    return None


def picture_of(blip: Element | None, relations: Mapping[str, Relation]) -> Picture:
    """The picture that a drawing shows, in the archive or at an address; of a chart or diagram none."""
    for name in ("embed", "link", "id"):
        if blip is not None and (relation := related(blip, name, relations)) is not None:
            source: Source = "remote" if relation.outside else "file"
            return Picture(source, relation.target, "" if relation.outside else relation.target)
    return Picture("none", "")


def is_fallback(element: Element) -> bool:
    """Whether it stands there a second time, for programs that don't know the first form."""
    return element.within("Fallback") is not None


def words_of(element: Element) -> str:
    """The words of a paragraph or a shape, in one line, without field codes and what was deleted."""
    some = islice(element.all("t", "tab", "br", "p"), _FEW)
    parts: Iterator[str] = (one.text if one.name == "t" else " " for one in some if not is_fallback(one))
    return " ".join("".join(parts).split())[:LONGEST_CONTEXT]


def joined(texts: Sequence[str]) -> str:
    """Several texts as one context."""
    return " ".join(filter(None, texts))[:LONGEST_CONTEXT]


def _mark(element: Element) -> Element | None:
    return element.first("decorative")


def _splices(data: bytes, drawing: Drawing, alt: str) -> Iterator[Splice]:
    element = drawing.element
    if drawing.attribute == "alt" or alt or drawing.attribute in element.attributes:
        yield with_attribute(data, element, drawing.attribute, alt)
    if drawing.attribute == "alt" or bool(alt) != drawing.decorative:
        return
    mark, extensions = _mark(element), element.child("extLst")
    if mark is not None:
        yield with_attribute(data, mark, "val", "0" if alt else "1")
    elif extensions is not None and not extensions.empty:
        yield Splice(extensions.close, extensions.close, _MARK)
    elif extensions is not None:
        yield Splice(extensions.start, extensions.end, _LIST)
    elif element.empty:
        name = data[element.start + 1 : element.end].split(None, 1)[0].rstrip(b"/>")
        slash = data.rindex(b"/", element.start, element.end)
        yield Splice(slash, element.end, b">%s</%s>" % (_LIST, name))
    else:
        yield Splice(element.close, element.close, _LIST)
