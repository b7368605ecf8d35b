"""Long descriptions of complex pictures in a page: which there are, and where a new one stands.

It is text that everybody sees, directly behind the picture (or what it is in), to which ``aria-describedby`` points,
as WCAG's technique ARIA15 and the W3C's tutorial on complex images have it. It is not folded: of what a closed
``<details>`` holds Chromium 150 gives assistive technology no description (tests/describing/test_long_descriptions.py).

Invariant: the element is put only where the page's content model has room for it (never in a paragraph, a link or a
heading), under an id that is free on the page, and what comes out was parsed again: it has the same elements and words
beside. Where that can't be told for sure the description is refused, with the reason.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.describing.code import Code
from trifacet.describing.place import Edit
from trifacet.describing.source import Change, fit
from trifacet.describing.tags import escaped, tag_at
from trifacet.lint.pages import tree_of, walk
from trifacet.lint.roles import attribute
from trifacet.lint.xhtml import is_xhtml

CLASS = "long-description"  # of the element, for the page's style
_LONGEST = 20_000  # characters of one that stands there
_GIVEN = ("aria-describedby", "aria-details", "longdesc")
# Elements that hold any content, and those that hold the ones named.
_HOLDS_ANY = frozenset(
    re.findall(
        r"\w+",
        "body div section article main aside header footer nav blockquote td th li dd form fieldset center dialog",
    )
)
_HOLDS = {
    "table": ("tbody", "thead", "tfoot", "tr"), "tbody": ("tr",), "thead": ("tr",), "tfoot": ("tr",),
    "tr": ("td", "th"), "ul": ("li",), "ol": ("li",), "menu": ("li",), "dl": ("dd", "div"), "html": ("body",),
}  # fmt: skip
_ENDS = ("#document", "html", "body")
_VOID = frozenset(("img", "input", "embed", "area"))
_END = re.compile(r"</([a-zA-Z][^\s/>]*)[^>]*>")


class NoLongDescriptionsError(DataError):
    """A document has no place for any long description; texts it takes."""


class Descriptions:
    """Those of a page.

    Args:
        nodes: the page's elements and texts in their order, each with what is around it.
        text: the page.
        path: of the document, for messages.
    """

    def __init__(self, nodes: list[Any], text: str, path: str) -> None:
        self._nodes, self._text, self._path = nodes, text, path
        self._xml = is_xhtml(text, Path(path))
        self._ids: dict[str, Any] | None = None
        self._taken: set[str] = set()

    def said(self, element: Any) -> str:
        """What the elements say that its ``aria-describedby`` names, in one line; "" for none."""
        names = attribute(element, "aria-describedby").split()[:10]
        found = [self._by_id[name] for name in names if name in self._by_id]
        return " ".join(" ".join(map(_words, found)).split())

    def put(self, element: Any, long: str, language: str, code: Code) -> tuple[str, Change]:
        """The id of a new one for a picture, and what puts it there. Raises DataError: there is no place for it."""
        if (given := next((name for name in _GIVEN if attribute(element, name).strip()), "")) != "":
            raise self._refused(f"it has a long description already ({given})", "change that by hand")
        anchor = self._anchor(element)
        if code.surrounds(element):
            raise self._refused("a template may repeat its place, and its id", "write it into the template by hand")
        at = self._behind(anchor)
        name = self._free_id(long)
        return name, (
            at,
            at,
            self._before(anchor.origin_offset, at) + self._markup(name, fit(long, self._path), anchor, language),
        )

    @property
    def _by_id(self) -> dict[str, Any]:
        if self._ids is None:
            self._ids = {}
            for one, _ in self._nodes:
                if name := attribute(one, "id"):
                    self._ids.setdefault(name, one)
        return self._ids

    def _free_id(self, long: str) -> str:
        base = f"description-{hashlib.sha256(long.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
        name, number = base, 1
        while name in self._by_id or name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._taken.add(name)
        return name

    def _anchor(self, element: Any) -> Any:
        """The picture, or the outermost of what it is in that holds no such element."""
        if any(one.name in ("template", "#document-fragment") for one in _around(element)):
            raise self._refused("it stands in a <template>, which a script repeats", "write it there by hand")
        return _outermost(element)

    def _behind(self, anchor: Any) -> int:
        """Behind an element's end; where it has no end tag, before what follows."""
        tag = tag_at(self._text, anchor.origin_offset, anchor.attrs)
        if tag is not None:
            closed = self._text.endswith("/>", tag.start, tag.end) and (self._xml or anchor.namespace == "svg")
            if anchor.name in _VOID or closed:
                return tag.end
            last, following = self._extent(anchor)
            depth, one = 0, last
            while one is not anchor.parent:  # those of its name that end behind its last element
                depth += one.name == anchor.name
                one = one.parent
            around = {one.name for one in _around(anchor)}
            for found in _END.finditer(self._text, max(last.origin_offset or 0, tag.end), following):
                depth -= found[1].lower() == anchor.name.lower()
                if depth == 0:
                    return found.end()
                if found[1].lower() in around and found[1].lower() != anchor.name.lower():
                    return found.start()
            return min(following, len(self._text.rstrip()))
        raise self._refused(f"the end of its <{anchor.name}> can't be found for sure", "close it, or write it by hand")

    def _extent(self, anchor: Any) -> tuple[Any, int]:
        """The last element in this one, and where the next begins that is not; the text's end where there is none."""
        inside, last, begun = {id(anchor)}, anchor, False
        for one, _ in self._nodes:
            begun = begun or one is anchor
            if not begun or one is anchor or one.name == "#text":
                continue
            if id(one.parent) in inside:
                inside.add(id(one))
                last = one if one.origin_offset is not None else last
            elif one.origin_offset is not None:
                return last, one.origin_offset
        return last, len(self._text)

    def _before(self, start: int, end: int) -> str:
        """What stands between the picture and its description: a new line, as the picture has one, or nothing."""
        before = re.search(r"(\r\n|\r|\n)?([ \t]*)\Z", self._text[max(start - 500, 0) : start])
        after = re.compile(r"[ \t]*(\r\n|\r|\n)").match(self._text, end)
        if before is None or not before[1] or after is None:
            return ""
        return before[1] + before[2]

    def _markup(self, name: str, long: str, anchor: Any, language: str) -> str:
        around = next((found for one in _around(anchor) if (found := language_in(one))), "")
        lines = [escaped(" ".join(line.split())) for line in re.split(r"[\r\n]+", long) if line.strip()]
        lang = f' lang="{escaped(language)}"' if language and language.lower() != around.lower() else ""
        lang += lang.replace(" lang", " xml:lang") * self._xml
        return f'<div class="{CLASS}" id="{name}"{lang}>{"".join(f"<p>{line}</p>" for line in lines)}</div>'

    def _refused(self, why: str, cure: str) -> DataError:
        return DataError(f"a long description can't be put there: {why}", fix=cure, file=self._path)


def _outermost(element: Any) -> Any:
    """The element, or the outermost around it that has no room for a description."""
    anchor, one = element, element
    for around in _around(element):
        if around.name in _ENDS:
            break
        holds = around.name in _HOLDS_ANY or one.name in _HOLDS.get(around.name, ())
        if around.namespace not in (None, "html") or not holds:
            anchor = around
        one = around
    return anchor


def _around(element: Any) -> Iterator[Any]:
    while (element := element.parent) is not None:
        yield element


def language_in(element: Any) -> str:
    """The language that an element itself says, as BCP 47; "" for none."""
    return (attribute(element, "lang") or attribute(element, "xml:lang")).strip()[:40]


def is_own(element: Any) -> bool:
    """Whether an element is one that was put there, which is no context of other pictures."""
    return element.name == "div" and CLASS in attribute(element, "class").split()


def _words(element: Any) -> str:
    """The words in an element."""
    said, length, stack = list[str](), 0, [element]
    while stack and length < _LONGEST:
        one = stack.pop()
        if one.name == "#text":
            said.append((one.data or "")[:_LONGEST])
            length += len(said[-1])
        elif one.name in ("p", "br", "li", "div"):
            said.append(" ")
        stack.extend(reversed(one.children or ()))
    return " ".join("".join(said).split())


def in_one_line(text: str) -> str:
    """A description as ``Place.described`` has it."""
    return " ".join(text.split())


def check_beside(before: str, after: str, edits: Mapping[str, Edit], path: str) -> None:
    """Raise DataError where a page has other elements or words by now, but for descriptions and edited attributes, or a
    description where none may be.
    """
    old, new = (list(walk(tree_of(text, Path(path)), texts=True)) for text in (before, after))
    there = {attribute(one, "id") for one, _ in old}
    added = [one for one, _ in new if is_own(one) and attribute(one, "id") not in there]
    placed = all(_outermost(one) is one and _is_behind(one, added) for one in added)
    if not placed or list(_outline(old, [])) != list(_outline(new, added)):
        long = sum(bool(edit.long) for edit in edits.values())
        told = f"with {long} long description{'s' * (long != 1)} the page would have other elements"
        raise DataError(told, fix="write it by hand", file=path)


def _is_behind(one: Any, added: list[Any]) -> bool:
    """Whether the picture that a description is of is, or is in, the element before it."""
    before = None
    for child in one.parent.children:
        if child is one:
            break
        if child.name not in ("#text", "#comment") and not any(child is other for other in added):
            before = child
    name = attribute(one, "id")
    return before is not None and any(attribute(inner, "aria-describedby") == name for inner, _ in walk(before))


def _outline(nodes: list[Any], added: list[Any]) -> Iterator[tuple[str, ...]]:
    """A page's elements with their attributes, and its words, but for what was added."""
    said: list[str] = []
    outside = {id(one) for one in added}
    for one, _ in nodes:
        if id(one) in outside or id(one.parent) in outside:
            outside.add(id(one))
        elif one.name == "#text":
            if words := re.sub(r"\s+", "", one.data or ""):
                said += [words] if said and said[0] == one.parent.name else [one.parent.name, words]
        else:
            yield ("said", "".join(said))
            said = []
            given = [name for name in one.attrs if name.lower() not in ("alt", "aria-label", *_OWN)]
            parent = one.parent.name if one.parent is not None else ""
            yield parent, one.name, *(f"{name}={one.attrs[name]}" for name in sorted(given))
    yield ("said", "".join(said))


_OWN = ("aria-describedby", "data-alt-source")
