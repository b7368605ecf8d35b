"""Alt-texts of HTML and XHTML pages: every element that shows an image, with the text that a screen reader would say.

Invariant: an empty ``alt`` is right for a decorative image and is no finding, unless the image is all that a link or
a button has to be named by. What nobody sees, or is told of, is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from justhtml import JustHTML

from trifacet.base.errors import DataError
from trifacet.lint.documents import AltText
from trifacet.lint.encodings import page_text
from trifacet.lint.names import Names
from trifacet.lint.roles import (
    IMAGE_ROLES,
    Kind,
    attribute,
    in_conflict,
    is_control,
    is_decoration,
    is_hidden,
    is_unsaid,
    kind_of,
    role_of,
    visibility,
)
from trifacet.lint.templates import is_bound, template_in
from trifacet.lint.xhtml import is_xhtml, read_xhtml

_STRAY = re.compile(r"<(?![a-zA-Z/!?])")
MAX_STRAY = 20_000  # "<" that begin no tag: joining the text around them takes time quadratic in their number
_FEW = 100  # children of a figure that are looked at for its caption


@dataclass(frozen=True)
class Within:
    """What the elements around an element, and its own attributes, make of it; most share one.

    ``unsaid``: screen readers skip it ("hidden" by aria-hidden), or say it as a "part" of the image around it.
    """

    control: Any = None
    figure: Any = None
    label: Any = None
    hidden: bool = False
    visible: bool = True
    unsaid: str = ""


def read_html(data: bytes | str, path: Path) -> Iterator[AltText]:
    """The images of a page, in the order of the document; bytes are decoded as browsers do.

    Images in ``<noscript>`` and those that CSS shows are not seen; ``<template>`` is looked into.

    Raises:
        DataError: the text is no XHTML, or no HTML that can be parsed in reasonable time.
    """
    text = page_text(data) if isinstance(data, bytes) else data
    page = Page(tree_of(text, path), path)
    for element, around in page.elements:
        if (found := page.alt_text(element, around)) is not None:
            yield found


def tree_of(text: str, path: Path) -> Any:
    """The document's tree, whose elements know where they begin. Raises DataError as ``read_html`` does."""
    if is_xhtml(text, path):
        try:
            return read_xhtml(text, path)
        except DataError:
            if path.suffix.lower() in (".xhtml", ".xht"):
                raise  # where a browser shows no more than the error either
    if sum(1 for _ in _STRAY.finditer(text)) > MAX_STRAY:
        raise DataError(f"holds more than {MAX_STRAY} '<' that begin no tag", fix="give HTML", file=path)
    return JustHTML(text, track_node_locations=True, sanitize=False).root


class Page:
    """A parsed page: its ``elements`` in their order, each with what is around it, and their ``names``.

    ``nodes`` are the elements, with ``texts`` these too.
    """

    def __init__(self, root: Any, path: Path, *, texts: bool = False) -> None:
        self.path = path
        self.nodes = list(walk(root, texts=texts))
        self.elements = [one for one in self.nodes if one[0].name != "#text"] if texts else self.nodes
        self.names = Names(element for element, _ in self.elements)

    def alt_text(self, element: Any, around: Within) -> AltText | None:
        """The text of an element that shows an image; None for other elements, and for what nobody is told of."""
        kind = kind_of(element)
        if kind is None or around.hidden or not around.visible or around.unsaid == "part":
            return None
        decorative = is_decoration(element)
        bound = not decorative and is_bound(element.attrs)
        text = element.attrs.get("alt") if decorative else self.names.of_image(element, kind, around.label)
        if around.unsaid:
            text = None
        nameless = decorative or not ((text or "").strip() or bound)
        needed = self._needed(element, around, kind, decorative) if nameless else ""
        if not needed and (around.unsaid or (kind == "svg" and text is None and role_of(element) not in IMAGE_ROLES)):
            return None  # a drawing without a role is no image to a screen reader
        unasked = ""
        if not needed and decorative:
            unasked = "decorative"
        elif template_in(text) if text else bound:
            unasked = "template"
        line, column = element.origin_location or (None, None)
        return AltText(
            text="" if text and needed else text,
            line=line,
            column=column,
            id=attribute(element, "id"),
            image=_image(element, self.path),
            context=self._said_with(around),
            unasked=unasked,
            needed=needed,
            brief=kind in ("input", "area")
            or around.control is not None
            or (kind == "role" and bool(self.names.words(element))),
        )

    def _needed(self, element: Any, around: Within, kind: Kind, decorative: bool) -> str:
        """Why this image needs a text; "" where it may be decorative."""
        if around.control is not None and not self.names.has_name(around.control):
            self.names.told(around.control)  # one finding says it, however many images the link has
            return "nothing else names the link or button around it"
        if around.unsaid or decorative:
            return ""
        if kind == "input":
            return "a button has no other name"
        if kind == "area":
            return "a link on an image map has no other name"
        says_so = "alt" in element.attrs or "role" in element.attrs
        conflict = kind == "img" and says_so and in_conflict(element)
        return "what can be focused, or has ARIA attributes, is no decoration" if conflict else ""

    def _said_with(self, around: Within) -> str | None:
        """The words that stand with the image: its figure's caption, else what its link or button says."""
        if words := self.caption(around.figure):
            return words
        return self.names.words(around.control) or None if around.control is not None else None

    def caption(self, figure: Any) -> str:
        """What the caption of a figure says; "" for none."""
        if figure is None:
            return ""
        children = [*figure.children[:_FEW], *figure.children[-_FEW:]]
        caption = next((child for child in children if child.name == "figcaption"), None)
        return self.names.words(caption) if caption is not None else ""


def walk(root: Any, *, texts: bool = False) -> Iterator[tuple[Any, Within]]:
    """All elements, and ``texts`` too, in their order, without recursion: pages may be nested a million deep."""
    stack = [(root, Within())]
    while stack:
        element, around = stack.pop()
        if element.name == "#text":
            yield element, around
        elif element.attrs is not None:
            around = _entered(element, around)
            yield element, around
            if not around.unsaid:
                if is_control(element):
                    around = replace(around, control=element)
                if role_of(element) in IMAGE_ROLES:
                    around = replace(around, unsaid="part")
            if element.name in ("figure", "label"):
                around = replace(around, **{element.name: element})
        content = element.template_content if element.name == "template" else None
        below = [*(element.children or ()), *([content] if content is not None else ())]
        stack.extend((child, around) for child in reversed(below) if texts or child.name != "#text")


def _entered(element: Any, around: Within) -> Within:
    """With what the element's own attributes say."""
    if is_hidden(element) and not around.hidden:
        around = replace(around, hidden=True)
    if (visible := visibility(element)) is not None and visible != around.visible:
        around = replace(around, visible=visible)
    if is_unsaid(element) and not around.unsaid:
        around = replace(around, unsaid="hidden")
    return around


def _image(element: Any, path: Path) -> str:
    """Which image, where the element names a file."""
    if element.name not in ("img", "input", "object", "embed"):
        return ""
    names = ("src", "data-src", "data")
    source = next((value for name in names if (value := attribute(element, name).strip())), "")
    return image_address(source, path)


def image_address(source: str, path: Path) -> str:
    """An image's address, the same for all pages of a folder that show it; "" for none."""
    if not source or source.startswith("/") or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", source):
        return source
    parts: list[str] = []
    for part in PurePosixPath(path.parent.as_posix(), source).parts:
        if part == ".." and parts and parts[-1] not in ("..", "/"):
            parts.pop()
        elif part != ".." or parts != ["/"]:  # nothing is above the root
            parts.append(part)
    return str(PurePosixPath(*parts))
