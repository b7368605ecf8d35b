"""WordPress exports (WXR): pictures in posts and pages, and the alternative texts of the media library.

Invariant: a picture whose block keeps its text a second time (covers) is never changed, since the editor would call the
block invalid; an attachment without a text gets the field that WordPress itself writes.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from trifacet.describing.addresses import file_name, picture_at
from trifacet.describing.formats.feed import CONTENT, Document, Spot, edited, whole
from trifacet.describing.formats.found import found, refuse_described
from trifacet.describing.formats.markup import MAX_XML, Element, Inside, Splice, qualified, refuse_forbidden
from trifacet.describing.formats.plain_html import words_of_html
from trifacet.describing.place import Around, Edit, Place

EXPORT = "http://wordpress.org/export/"
SHORTCODES = "[]"  # WordPress runs them in attributes too: texts have these as references
ALT_FIELD = "_wp_attachment_image_alt"
_BLOCK = re.compile(r"<!--\s+(/)?wp:([a-z0-9/_-]+)\s+(\{[^<>]*\}\s+)?(/)?-->")
_OFFSET = re.compile(r"@(\d+)")
_TWICE = "its block keeps the text a second time: change it in WordPress's editor"


class WordPress:
    """The format: see the module."""

    name = "wordpress"
    suffixes: Sequence[str] = (".xml", ".wxr")
    largest = MAX_XML

    def begins(self, start: bytes) -> bool:
        """Whether it is an export of WordPress's."""
        return EXPORT.encode() in start

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """The uses of pictures, post by post."""
        yield from (spot.place for spot in _read(Document(data, path)))

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """The export with other texts."""
        return edited(data, path, edits, _read)


def _read(document: Document) -> Iterator[Spot]:
    root = document.root
    items = list(root.all("item"))
    titles = {said_in(item, "post_id"): plain_of(item, "title") for item in items}
    language = next((one.words for one in root.all("language")), "")
    for item in items:
        title = plain_of(item, "title")
        if said_in(item, "post_type") == "attachment":
            address = said_in(item, "attachment_url")
            if re.search(r"\.(?:jpe?g|png|gif|webp|avif|svg|heic|bmp)$", address, re.IGNORECASE):
                yield _attachment(document, item, titles.get(said_in(item, "post_parent"), ""), language)
            continue
        for element in item.elements:
            if element.name == CONTENT or (element.local == "encoded" and element.name.startswith(EXPORT)):
                yield from document.html(element, Around(page=title, language=language), fixed_by_block, SHORTCODES)


def fixed_by_block(html: bytes, place: Place) -> str:
    """Why a picture of a post can't be changed: the innermost block around it has a text of its own."""
    offset = _OFFSET.search(place.key)
    starts, twice = _blocks(html)
    at = bisect_right(starts, int(offset[1])) - 1 if offset else -1
    return _TWICE if at >= 0 and twice[at] else ""


@lru_cache(maxsize=2)
def _blocks(html: bytes) -> tuple[list[int], list[bool]]:
    """Where another block begins or ends, and whether the one that holds from there on keeps its text twice."""
    starts, twice = list[int](), list[bool]()
    around: list[bool] = []
    for block in _BLOCK.finditer(html.decode("utf-8", "replace")):
        ends, name, settings, alone = block.groups()
        if ends and around:
            around.pop()
        elif not ends and not alone:
            around.append(name == "cover" or _has_alt(settings or ""))
        starts.append(block.start())
        twice.append(bool(around) and around[-1])
    return starts, twice


def _has_alt(settings: str) -> bool:
    try:
        return "alt" in json.loads(settings)
    except (ValueError, RecursionError, TypeError):
        return '"alt"' in settings


def _attachment(document: Document, item: Element, parent: str, language: str) -> Spot:
    metas = [one for one in item.elements if one.local == "postmeta"]
    meta = next((one for one in metas if said_in(one, "meta_key") == ALT_FIELD), None)
    value = next((one for one in meta.elements if one.local == "meta_value"), None) if meta else None
    inside = Inside(document.data, value) if value else None
    picture = picture_at(said_in(item, "attachment_url"))
    around = Around(
        caption=plain_of(item, "encoded", "excerpt"),
        before=plain_of(item, "encoded", "content"),
        title=plain_of(item, "title"),
        page=parent,
        language=language,
        file_name=file_name(picture),
    )
    broken = (meta is not None and inside is None) or (
        inside is not None and (not inside.sound or inside.element.empty)
    )
    fixed = "its field can't be read" if broken else ""
    alt = value.text if value else None
    place = found(str(item.start), picture, alt, around, fixed=fixed, line=document.line(item.start))

    def write(edit: Edit) -> Iterator[Splice]:
        refuse_described({place.key: edit}, document.path)
        refuse_forbidden(edit.alt)
        if inside is not None:
            yield whole(inside, edit.alt)
        else:
            yield _added(document.data, item, metas, edit.alt)

    return Spot(place, write)


def _added(data: bytes, item: Element, metas: Sequence[Element], text: str) -> Splice:
    """A new field, as WordPress writes it, behind the others."""
    kind = next(one for one in item.elements if one.local == "post_type")
    prefix = qualified(data, kind).rpartition(":")[0].encode()
    before = metas[-1] if metas else item.elements[-1]
    line = data.rfind(b"\n", 0, before.start)
    indent = data[line : before.start] if line >= 0 and not data[line : before.start].strip() else b"\n"
    end = b"\r\n" if indent.startswith(b"\n") and data[line - 1 : line] == b"\r" else b"\n"
    indent = end + indent[1:]
    made = (
        indent + b"<W:postmeta>" + indent + b"<W:meta_key><![CDATA[%s]]></W:meta_key>" % ALT_FIELD.encode()
        + indent + b"<W:meta_value><![CDATA[%s]]></W:meta_value>" + indent + b"</W:postmeta>"
    )  # fmt: skip
    content = text.encode().replace(b"]]>", b"]]]]><![CDATA[>")
    return Splice(before.end, before.end, made.replace(b"W:", prefix + b":") % content)


def said_in(item: Element, name: str) -> str:
    """What a post says of itself in one of the export's own elements; "" where it has none."""
    one = next((one for one in item.elements if one.local == name and one.name.startswith(EXPORT)), None)
    return one.text.strip() if one else ""


def plain_of(item: Element, name: str, space: str = "") -> str:
    """The words of an element of a post; ``space`` is a part of its namespace."""
    one = next((one for one in item.elements if one.local == name and space in one.name), None)
    return words_of_html(one.text) if one else ""


FORMAT = WordPress()
