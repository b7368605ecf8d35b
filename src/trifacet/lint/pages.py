"""Alt-texts of HTML pages: every element that shows an image, with the text that a screen reader would say for it.

Invariant: an empty ``alt`` is right for a decorative image and is no finding, unless the image is all that a link or
a button has to be named by. The order of names is that of the accessible name computation: aria-labelledby,
aria-label, the element's own (``alt``, ``<title>`` in SVG), ``title``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from justhtml import JustHTML

from trifacet.base.errors import DataError
from trifacet.lint.documents import AltText, template_in

_STRAY = re.compile(r"<(?![a-zA-Z/!?])")
_STRAY_BYTES = re.compile(rb"<(?![a-zA-Z/!?])")
MAX_STRAY = 20_000  # "<" that begin no tag: joining the text around them takes time quadratic in their number
# What is looked at for a name or a context: a page may be made so that each of its images stands for megabytes.
_FEW = 100  # elements and texts
LONGEST_CONTEXT = 2000  # characters
# Attributes that Vue, Alpine and Angular make names of, and marks of engines that write attributes.
_BOUND = re.compile(
    r"(?:(?:v-bind|x-bind|ng-attr)?[:-]|\[(?:attr\.)?|bind-(?:attr\.)?)(?:alt|title|aria-label|aria-labelledby)\]?"
    r"|v-(?:bind|text|html)|x-(?:bind|text|html)|\[(?:innerhtml|textcontent|innertext)\]|.*(?:\{|<[%?]).*"
)
_UNSAID = {"script", "style", "template", "noscript", "#comment", "!doctype"}


@dataclass(frozen=True)
class _Node:
    """An element on the way down: its link or button, its figure, and whether screen readers skip it."""

    element: Any
    control: Any = None
    figure: Any = None
    hidden: bool = False


def read_html(data: bytes | str, path: Path) -> Iterator[AltText]:
    """The images of a page, in the order of the document; bytes are UTF-8, else what browsers take them for.

    Images in ``<noscript>`` and those that CSS shows are not seen; ``<template>`` is looked into.

    Raises:
        DataError: the text is no HTML that can be parsed in reasonable time.
    """
    if isinstance(data, bytes):
        with suppress(UnicodeDecodeError):
            data = data.decode("utf-8-sig")  # most pages, also where they do not say so
    stray = _STRAY.finditer(data) if isinstance(data, str) else _STRAY_BYTES.finditer(data)
    if sum(1 for _ in stray) > MAX_STRAY:
        raise DataError(f"holds more than {MAX_STRAY} '<' that begin no tag", fix="give HTML", file=path)
    page = _Page(JustHTML(data, track_node_locations=True, sanitize=False).root, path)
    for node in page.nodes:
        if not node.hidden and (found := page.alt_text(node)) is not None:
            yield found


class _Page:
    """A parsed page; what is asked of a link, a figure or a label is asked once."""

    def __init__(self, root: Any, path: Path) -> None:
        self.path = path
        self.nodes = list(_walk(root))
        self.ids = {_attribute(node.element, "id"): node.element for node in reversed(self.nodes)}
        self.texts: dict[int, str] = {}
        self.named: dict[int, bool] = {}

    def alt_text(self, node: _Node) -> AltText | None:
        """The text of an element that shows an image; None for other elements."""
        element = node.element
        kind = _kind(element)
        if kind is None or _attribute(element, "aria-hidden").lower() == "true":
            return None
        text, role, bound = self.name(element, kind), _role(element), _bound(element)
        needed = self._needed(node, kind) if not (text or "").strip() and not bound else ""
        if kind == "svg" and text is None and not needed and role != "img":
            return None  # a drawing without a role is no image to a screen reader
        unasked = ""
        if not needed and (text == "" or (role in ("presentation", "none") and not self._label(element))):
            unasked = "decorative"
        elif template_in(text) if text else bound:
            unasked = "template"
        line, column = element.origin_location or (None, None)
        return AltText(
            text=text,
            line=line,
            column=column,
            id=_attribute(element, "id"),
            image=_image(element, self.path),
            context=self._around(node),
            unasked=unasked,
            needed=needed,
            brief=kind in ("input", "area")
            or node.control is not None
            or (kind == "role" and bool(self.text(element))),
        )

    def name(self, element: Any, kind: str) -> str | None:
        """What is said for an image; None where nothing gives it a name."""
        if label := self._label(element):
            return label
        own: str | None = None
        if kind in ("img", "input", "area") and "alt" in element.attrs:
            own = element.attrs["alt"] or ""
        elif kind == "svg":
            title = next((child for child in element.children[:_FEW] if child.name == "title"), None)
            own = self.text(title) if title is not None else None
        return own if own or not (title_text := _attribute(element, "title").strip()) else title_text

    def text(self, element: Any) -> str:
        """The words in an element, in one line, as much of them as a context needs."""
        if id(element) not in self.texts:
            words = " ".join((child.data or "")[:LONGEST_CONTEXT] for child in _few(element) if child.name == "#text")
            self.texts[id(element)] = " ".join(words.split())[:LONGEST_CONTEXT]
        return self.texts[id(element)]

    def _label(self, element: Any) -> str:
        return self._labels(element) or _attribute(element, "aria-label").strip()

    def _labels(self, element: Any) -> str:
        labels = _attribute(element, "aria-labelledby").split()[:_FEW]
        said = filter(None, (self.text(self.ids[name]) for name in labels if name in self.ids))
        return " ".join(said)[:LONGEST_CONTEXT]

    def _needed(self, node: _Node, kind: str) -> str:
        """Why this image needs a text; "" where it may be decorative."""
        if kind == "input":
            return "a button has no other name"
        if kind == "area":
            return "a link on an image map has no other name"
        if node.control is None or self._has_name(node.control):
            return ""
        self.named[id(node.control)] = True  # one finding says it, however many images the link has
        return "nothing else names the link or button around it"

    def _has_name(self, control: Any) -> bool:
        """Whether a link or button is named by a label, by words, or by an image in it that has a text."""
        if id(control) not in self.named:
            self.named[id(control)] = bool(
                self._label(control)
                or _attribute(control, "title").strip()
                or _bound(control)
                or any(self._says(child) for child in _few(control))
            )
        return self.named[id(control)]

    def _says(self, child: Any) -> bool:
        if child.name == "#text":
            return bool((child.data or "").strip())
        kind = _kind(child)
        said = self.name(child, kind) if kind else _attribute(child, "aria-label")
        return bool((said or "").strip()) or _bound(child)

    def _around(self, node: _Node) -> str | None:
        """The words that stand with the image: its figure's caption, else what its link or button says."""
        if node.figure is not None:
            children = [*node.figure.children[:_FEW], *node.figure.children[-_FEW:]]
            caption = next((child for child in children if child.name == "figcaption"), None)
            if caption is not None and (words := self.text(caption)):
                return words
        return self.text(node.control) or None if node.control is not None else None


def _walk(root: Any) -> Iterator[_Node]:
    """All elements in their order, without recursion: pages may be nested a million deep."""
    stack = [_Node(root)]
    while stack:
        node = stack.pop()
        element, control, figure, hidden = node.element, node.control, node.figure, node.hidden
        if element.attrs is not None:
            yield node
            control = element if _is_control(element) else control
            figure = element if element.name == "figure" else figure
            hidden = hidden or _attribute(element, "aria-hidden").lower() == "true"
        content = element.template_content if element.name == "template" else None
        below = [*(element.children or ()), *([content] if content is not None else ())]
        stack.extend(_Node(child, control, figure, hidden) for child in reversed(below) if child.name != "#text")


def _few(element: Any) -> Iterator[Any]:
    """The first elements and texts within ``element`` that a screen reader says, in their order."""
    stack = list(reversed(element.children or ()))
    for _ in range(_FEW):
        if not stack:
            return
        child = stack.pop()
        if child.name != "#text" and (child.name in _UNSAID or _attribute(child, "aria-hidden").lower() == "true"):
            continue
        yield child
        if child.name not in ("#text", "svg"):
            stack.extend(reversed(child.children or ()))


def _kind(element: Any) -> str | None:
    """Which rules of HTML hold: img, input, area, svg, role (an element that says it is an image); None: no image."""
    match element.name:
        case "img" | "svg":
            return str(element.name)
        case "input":
            return "input" if _attribute(element, "type").strip().lower() == "image" else None
        case "area":
            return "area" if "href" in element.attrs else None
    return "role" if _role(element) == "img" else None


def _is_control(element: Any) -> bool:
    """Whether it is a link or a button; an <a> without an address is none."""
    linked = element.name == "a" and "href" in element.attrs
    return linked or element.name == "button" or _role(element) in ("link", "button")


def _role(element: Any) -> str:
    """The first role of an element, which is the one that counts; "" for none."""
    return next(iter(_attribute(element, "role").lower().split()), "")


def _bound(element: Any) -> bool:
    """Whether a template may name the element, or give it any attribute: then what the page lacks says nothing."""
    return any(_BOUND.fullmatch(name) for name in element.attrs or ())


def _image(element: Any, path: Path) -> str:
    """Which image, where the element names a file."""
    if element.name not in ("img", "input"):
        return ""
    source = next((value for name in ("src", "data-src") if (value := _attribute(element, name).strip())), "")
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


def _attribute(element: Any, name: str) -> str:
    return (element.attrs or {}).get(name) or "" if element.name != "#text" else ""
