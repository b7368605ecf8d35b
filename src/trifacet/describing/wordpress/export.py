"""Which post, and which of its fields, a place of a WordPress export (WXR) stands in.

Invariant: a field's value is what the database holds: ends of lines stay as they are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from trifacet.describing.formats.feed import CONTENT, Document
from trifacet.describing.formats.markup import Element, Inside
from trifacet.describing.formats.wordpress import ALT_FIELD, EXPORT, plain_of, said_in

FieldName = Literal["content", "excerpt", "alt_text"]
FIELDS: tuple[FieldName, ...] = get_args(FieldName)
MEDIA = "attachment"


@dataclass(frozen=True)
class Field:
    """A field of a post: the post's number, kind and title, and what stands in the field."""

    post: int
    type: str
    title: str
    name: FieldName
    value: str


def read_export(data: bytes, path: str) -> tuple[str, dict[str, Field]]:
    """The address of the site, and the fields by what the keys of their places begin with.

    Raises:
        DataError: it can't be read.
    """
    document = Document(data, path)
    urls = (one for one in document.root.all() if one.local == "base_blog_url" and one.name.startswith(EXPORT))
    site = next((one.words for one in urls), "")
    fields: dict[str, Field] = {}
    for item in document.root.all("item"):
        number, kind = said_in(item, "post_id"), said_in(item, "post_type")
        if not (number.isdecimal() and number.isascii() and len(number) < 20):
            continue
        post, title = int(number), plain_of(item, "title")
        if kind == MEDIA:
            fields[str(item.start)] = Field(post, kind, title, "alt_text", _alt(item))
            continue
        for element in item.elements:
            if element.name == CONTENT or (element.local == "encoded" and element.name.startswith(EXPORT)):
                name: FieldName = "content" if element.name == CONTENT else "excerpt"
                value = Inside(document.data, element).bytes.decode("utf-8", "surrogateescape")
                fields[str(element.start)] = Field(post, kind, title, name, value)
    return site, fields


def _alt(item: Element) -> str:
    metas = (one for one in item.elements if one.local == "postmeta")
    meta = next((one for one in metas if said_in(one, "meta_key") == ALT_FIELD), None)
    value = next((one for one in meta.elements if one.local == "meta_value"), None) if meta else None
    return value.text if value else ""
