"""Accessible names: what a screen reader says for an element.

The order is that of the accessible name computation (accname 1.2, HTML-AAM, SVG-AAM): aria-labelledby, aria-label, the
element's own (``alt``, a label, ``<title>`` in SVG), what is in it where its role takes that, ``title``.
Invariant: a question looks at a bounded number of elements and letters, since a page may be made so that each of its
images stands for megabytes; where a bound is met the element counts as named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from trifacet.lint.roles import Kind, attribute, is_decoration, is_hidden, is_unsaid, kind_of, visibility
from trifacet.lint.templates import is_bound

_FEW = 100  # elements and texts
_MANY = 1000  # of which most are strokes
LONGEST_CONTEXT = 2000  # characters
_UNSAID = frozenset(("script", "style", "template", "noscript", "#comment", "!doctype"))
_STROKES = frozenset(("path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "use"))
_UNDRAWN = frozenset(("defs", "title", "desc", "metadata", "symbol"))  # of SVG; a title names what it stands in


class Names:
    """The names of a page's elements; each is made once."""

    def __init__(self, elements: Iterable[Any]) -> None:
        self._ids: dict[str, Any] = {}
        self._labels: dict[str, list[Any]] = {}
        self._words: dict[int, str] = {}
        self._contents: dict[int, str] = {}
        self._saying: dict[int, bool] = {}
        self._named: dict[int, bool] = {}
        for element in elements:
            self._ids.setdefault(attribute(element, "id"), element)
            if element.name == "label" and (named := attribute(element, "for")):
                self._labels.setdefault(named, []).append(element)

    def of_image(self, element: Any, kind: Kind, label: Any = None) -> str | None:
        """An image's name; None where nothing gives it one. ``label`` is the <label> around it."""
        own = self.given(element) or self._own(element, kind)
        if kind == "input" and not (own or "").strip():
            labels = self._labels.get(attribute(element, "id"), [])[:_FEW] or ([label] if label else [])
            own = " ".join(filter(None, map(self._content, labels))) or own
        return own

    def given(self, element: Any) -> str:
        """What aria-labelledby or aria-label says."""
        labels = attribute(element, "aria-labelledby").split()[:_FEW]
        said = filter(None, (self._referred(self._ids[name]) for name in labels if name in self._ids))
        return " ".join(said)[:LONGEST_CONTEXT] or attribute(element, "aria-label").strip()

    def _own(self, element: Any, kind: Kind) -> str | None:
        own: str | None = None
        if kind in ("img", "input", "area"):
            own = (element.attrs["alt"] or "") if "alt" in element.attrs else None
        elif element.namespace == "svg":  # which has no attribute for it
            return self._drawn(element) or None
        return own if own or not (title := attribute(element, "title").strip()) else title

    def _drawn(self, element: Any) -> str:
        """The title of a drawing, or of a part of one."""
        title = next((child for child in element.children[:_FEW] if child.name == "title"), None)
        return "" if title is None else self.words(title)

    def _referred(self, element: Any) -> str:
        """What an element gives as a label, be it hidden or not."""
        kind = kind_of(element)
        own = attribute(element, "aria-label").strip() or (self._own(element, kind) if kind else "")
        return own or self._content(element) or attribute(element, "title").strip()

    def _content(self, element: Any) -> str:
        """The words in an element, with those of its images."""
        if id(element) not in self._contents:
            said = []
            for child in _said(element):
                kind = None if child is None or child.name == "#text" else kind_of(child)
                if kind is not None:
                    said.append(attribute(child, "aria-label").strip() or self._own(child, kind) or "")
                elif child is not None and child.name == "#text":
                    said.append((child.data or "")[:LONGEST_CONTEXT])
            self._contents[id(element)] = " ".join(" ".join(said).split())[:LONGEST_CONTEXT]
        return self._contents[id(element)]

    def words(self, element: Any) -> str:
        """The words in an element, in one line, as much of them as a context needs."""
        if id(element) not in self._words:
            texts = (child.data or "" for child in _said(element) if child is not None and child.name == "#text")
            words = " ".join(text[:LONGEST_CONTEXT] for text in texts)
            self._words[id(element)] = " ".join(words.split())[:LONGEST_CONTEXT]
        return self._words[id(element)]

    def has_name(self, control: Any) -> bool:
        """Whether a link or button is named by a label, by words, or by an image in it that has a text."""
        if id(control) not in self._named:
            self._named[id(control)] = bool(
                self.given(control)
                or attribute(control, "title").strip()
                or is_bound(control.attrs)
                or any(self._says(child) for child in _said(control))
            )
        return self._named[id(control)]

    def told(self, control: Any) -> None:
        """Have a control count as named: one finding says that it has no name, however many images it has."""
        self._named[id(control)] = True

    def _says(self, child: Any) -> bool:
        """Whether something in a control gives it a name, or may: an element of the page's own can hold anything."""
        if child is None:
            return True
        if child.name == "#text":
            return bool((child.data or "").strip())
        if id(child) not in self._saying:
            self._saying[id(child)] = self._element_says(child)
        return self._saying[id(child)]

    def _element_says(self, child: Any) -> bool:
        if is_bound(child.attrs) or "-" in child.name or child.name == "slot":
            return True
        kind = kind_of(child)
        if kind is not None:
            titled = bool(attribute(child, "title").strip())
            return titled or (not is_decoration(child) and bool((self.of_image(child, kind) or "").strip()))
        drawn = self._drawn(child) if child.namespace == "svg" else ""
        return bool(self.given(child) or attribute(child, "title").strip() or drawn)


def _said(element: Any) -> Iterator[Any]:
    """The elements and texts within ``element`` that a screen reader says, in their order.

    Ends with None where there are more than are looked at.
    """
    stack = [(child, True) for child in _first(element)]
    for _ in range(_FEW):
        if not stack:
            return
        child, seen = stack.pop()
        if child.name == "#text":
            if seen:
                yield child
            continue
        if child.name in _UNSAID or is_hidden(child) or is_unsaid(child):
            continue
        seen = seen if (own := visibility(child)) is None else own
        if seen:
            yield child
        stack.extend((inner, seen) for inner in _first(child))
    if stack:
        yield None


def _first(element: Any) -> list[Any]:
    """The first children, the last one first; without the strokes of drawings, of which there may be any number."""
    children: list[Any] = (element.children or [])[:_MANY]
    if element.namespace == "svg":
        named = (child for child in children if child.name not in _UNDRAWN)
        children = [one for one in named if one.name not in _STROKES or one.children or attribute(one, "aria-label")]
    return children[_FEW::-1]
