"""What is around the pictures of a parsed page: paragraphs, headings, links, captions, languages.

Invariant: linear in the page's length: what elements inherit is found once for each, and without recursion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from trifacet.describing.addresses import LAZY, file_name, largest, picture_at
from trifacet.describing.flow import Flow, Paragraph
from trifacet.describing.long_descriptions import is_own, language_in
from trifacet.describing.place import Around, Picture
from trifacet.lint.names import LONGEST_CONTEXT
from trifacet.lint.pages import Page, Within
from trifacet.lint.roles import attribute, role_of

_BLOCKS = frozenset(
    re.findall(
        r"\S+",
        "address article aside blockquote body button caption center dd details dialog div dl dt fieldset figcaption "
        "figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol option p pre section summary table "
        "tbody td template tfoot th thead tr ul #document #document-fragment",
    )
)
_UNREAD = frozenset(("script", "style", "title", "noscript", "textarea", "select", "iframe", "desc", "metadata"))
_FEW = 20  # sources of a picture


@dataclass(frozen=True)
class _Inherited:
    """What an element has from those around it: its block, its language, its table; whether it is in a caption, or
    in a long description.
    """

    block: Any = None
    language: str = ""
    table: Any = None
    caption: bool = False


class Surroundings:
    """The context of a page's elements; the page was parsed with its texts."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._inherited: dict[int, _Inherited] = {}
        self._spots: dict[int, tuple[int, int]] = {}  # of each element: paragraph, and pieces before it
        self.title = ""
        self.flow = self._flowing()

    def _flowing(self) -> Flow:
        paragraphs: list[Paragraph] = []
        current: Any = None
        for node, within in self.page.nodes:
            if node.name == "title" and not self.title and node.namespace in (None, "html"):
                self.title = self.page.names.words(node)
            if node.name == "#text":
                parent = node.parent
                if within.hidden or not within.visible or parent is None or parent.name in _UNREAD:
                    continue
                inherited, words = self._of(parent), node.data or ""
            else:
                inherited, words = self._of(node), ""
            if inherited.caption:
                continue
            if inherited.block is not current or not paragraphs:
                current = inherited.block
                paragraphs.append(Paragraph(_level(current)))
            pieces = paragraphs[-1].pieces
            if words and not words.isspace():
                pieces.append(words)
            elif (words or node.name == "br") and pieces and not pieces[-1][-1].isspace():
                pieces[-1] += " "
            if node.name != "#text":
                self._spots[id(node)] = len(paragraphs) - 1, len(pieces)
        return Flow(paragraphs)

    def _of(self, element: Any) -> _Inherited:
        """What an element has, from its parents down; each is asked once."""
        known, way = self._inherited, []
        while element is not None and id(element) not in known:
            way.append(element)
            element = element.parent
        found = _Inherited() if element is None else known[id(element)]
        for one in reversed(way):
            if one.name in _BLOCKS and one.namespace in (None, "html"):
                found = replace(found, block=one)
                if one.name == "table":
                    found = replace(found, table=one)
                elif one.name in ("figcaption", "caption"):
                    found = replace(found, caption=True)
            if is_own(one):
                found = replace(found, caption=True)
            if language := language_in(one):
                found = replace(found, language=language)
            known[id(one)] = found
        return found

    def spot(self, element: Any) -> tuple[int, int]:
        """The paragraph that an element stands in, and how many pieces of it are before it."""
        return self._spots.get(id(element), (-1, 0))

    def is_loose(self, element: Any) -> bool:
        """Whether it stands in no paragraph, table or the like."""
        block = self._of(element).block
        return block is None or block.name in ("body", "html", "#document", "#document-fragment")

    def around(self, element: Any, within: Within, picture: Picture) -> tuple[Around, bool]:
        """The context of an element, and whether words stand in its paragraph."""
        names, inherited = self.page.names, self._of(element)
        caption = self.page.caption(within.figure)
        if not caption and inherited.table is not None:
            first = next((child for child in inherited.table.children[:5] if child.name == "caption"), None)
            caption = names.words(first) if first is not None else ""
        number, piece = self.spot(element)
        before, after, same = self.flow.beside(number, piece) if number >= 0 else ("", "", False)
        control = element if element.name == "area" else within.control
        link = attribute(control, "href") or attribute(control, "xlink:href") if control is not None else ""
        return Around(
            caption=caption,
            headings=self.flow.headings(number),
            before=before,
            after=after,
            link=link.strip()[:LONGEST_CONTEXT],
            link_text=names.words(within.control) if within.control is not None else "",
            title=attribute(element, "title").strip()[:LONGEST_CONTEXT],
            page=self.title,
            language=inherited.language,
            file_name=file_name(picture),
        ), same


def _level(block: Any) -> int:
    """That of a heading; 0 of all else."""
    name = block.name if block is not None else ""
    if len(name) == 2 and name[0] == "h" and name[1].isdigit():
        return int(name[1])
    if block is not None and "role" in (block.attrs or ()) and role_of(block) == "heading":
        said = attribute(block, "aria-level").strip()
        return int(said) if said.isdecimal() and 0 < len(said) < 3 else 2
    return 0


def picture_of(element: Any) -> Picture:
    """The picture that an element shows, but for drawings in SVG: of several the largest, of one loaded late itself."""
    name = "data" if element.name == "object" else "src"
    lazy = next((name for name in LAZY if attribute(element, name).strip()), "")
    late = attribute(element, lazy).strip()
    if lazy.endswith("set"):
        late = largest(late)
    address = attribute(element, name).strip()
    if late and (not address or address[:5].lower() == "data:"):  # what stands there till it is loaded
        address = late
    if not address:
        parent = element.parent if element.parent is not None and element.parent.name == "picture" else None
        offered = [element, *(child for child in (parent.children[:_FEW] if parent is not None else ()))]
        srcsets = (attribute(one, name) for one in offered for name in ("srcset", "data-srcset"))
        address = next((found for srcset in srcsets if srcset and (found := largest(srcset))), "")
    return picture_at(address)
