"""Word documents: pictures, charts and diagrams with the description that a screen reader says (``docPr descr``).

Invariant: what stands there twice for older programs is one place; headings and captions are those of the document's
styles, in whatever language they are called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from trifacet.describing.formats.found import found
from trifacet.describing.formats.markup import Element
from trifacet.describing.formats.office import (
    Drawing,
    OfficeFormat,
    Package,
    Relation,
    is_fallback,
    picture_of,
    related,
    words_of,
)
from trifacet.describing.place import Around, Place

_PARTS = ("header", "footer", "footnotes", "endnotes")
_FRAMES = ("inline", "anchor")
_HEADING = re.compile(r"heading ([1-9])")
_CAPTION = 99  # as a level, in the table of styles


def _read(package: Package) -> Iterator[tuple[Place, Drawing]]:
    main = package.main()
    relations = package.relations(main)
    levels, language = _styles(package, relations)
    title, fixed = package.title, package.fixed
    parts = [one.target for one in relations.values() if one.kind in _PARTS and one.target in package.archive]
    for part in [main, *sorted(parts)]:
        known, context = package.relations(part), _Paragraphs(package.tree(part), levels)
        for number, (drawing, blip, diagram) in enumerate(_drawings(package.tree(part), part)):
            link = _link(drawing.element, known)
            around = context.around(drawing.element, title, language, link)
            picture = picture_of(blip, known)
            place = found(
                f"{part}#{number}",
                picture,
                drawing.alt,
                Around(**vars(around) | {"file_name": picture.address.rpartition("/")[2]}),
                decorative=drawing.decorative,
                diagram=diagram,
                fixed=fixed,
            )
            yield place, drawing


def _drawings(root: Element, part: str) -> Iterator[tuple[Drawing, Element | None, bool]]:
    """Drawings that show something, what names the picture, and whether it is a chart or a diagram."""
    for element in root.all("docPr", "shape"):
        if is_fallback(element):
            continue
        if element.name == "shape":
            if (data := element.child("imagedata")) is not None:
                yield Drawing(part, element, "alt"), data, False
            continue
        frame = element.parent
        if frame is None or frame.name not in _FRAMES:
            continue
        blip = next((one for one in frame.all("blip") if one.within(*_FRAMES) is frame), None)
        diagram = next((one for one in frame.all("chart", "relIds") if one.within(*_FRAMES) is frame), None)
        if blip is not None or diagram is not None:
            yield Drawing(part, element), blip or diagram, blip is None


def _link(element: Element, relations: Mapping[str, Relation]) -> str:
    """Target of the link that the drawing is, or stands in."""
    click, around = element.child("hlinkClick"), element.within("hyperlink")
    for one in filter(None, (click, around)):
        if (relation := related(one, "id", relations)) is not None:
            return relation.target
        if anchor := next((value for name, value in one.attributes.items() if name.endswith("anchor")), ""):
            return f"#{anchor}"
    return ""


class _Paragraphs:
    """The paragraphs of a part in their order, with the headings above each."""

    def __init__(self, root: Element, levels: Mapping[str, int]) -> None:
        self._list = [one for one in root.all("p") if not is_fallback(one)]
        self._number = {id(one): number for number, one in enumerate(self._list)}
        self._known: dict[int, str] = {}
        self._levels = [_level(one, levels) for one in self._list]
        self._headings: list[tuple[str, ...]] = []
        above: list[tuple[int, str]] = []
        for number, level in enumerate(self._levels):
            if level is not None and level != _CAPTION and (words := self._words(number)):
                above = [one for one in above if one[0] < level] + [(level, words)]
            self._headings.append(tuple(heading for _, heading in above))

    def _words(self, number: int) -> str:
        if number not in self._known:
            self._known[number] = words_of(self._list[number])
        return self._known[number]

    def around(self, element: Element, title: str, language: str, link: str) -> Around:
        """The context of a drawing."""
        paragraph = element.within("p")
        if paragraph is None or id(paragraph) not in self._number:
            return Around(page=title, language=language, link=link)
        at = self._number[id(paragraph)]
        before = self._words(at) or self._near(at, -1)
        near = [one for one in (at + 1, at - 1, at) if 0 <= one < len(self._list)]
        caption = next((self._words(one) for one in near if self._levels[one] == _CAPTION), "")
        lang = paragraph.first("lang")
        return Around(
            caption=caption,
            headings=self._headings[at],
            before=before,
            after=self._near(at, 1),
            link=link,
            link_text=words_of(linked) if (linked := element.within("hyperlink")) else "",
            title=element.attributes.get("title", ""),
            page=title,
            language=(_value(lang) if lang else "") or language,
        )

    def _near(self, at: int, step: int) -> str:
        """The next paragraph with words that is neither heading nor caption, of the few beside it."""
        for number in range(at + step, at + 4 * step, step):
            if 0 <= number < len(self._list) and self._words(number) and self._levels[number] is None:
                return self._words(number)
        return ""


def _level(paragraph: Element, levels: Mapping[str, int]) -> int | None:
    properties = paragraph.child("pPr")
    style = properties.child("pStyle") if properties else None
    own = properties.child("outlineLvl") if properties else None
    if own is not None and _value(own).isdecimal():
        return int(_value(own)) + 1
    return levels.get(_value(style)) if style else None


def _styles(package: Package, relations: Mapping[str, Relation]) -> tuple[dict[str, int], str]:
    """The level of each style that is a heading's or a caption's, and the language that the document is in."""
    part = next((one.target for one in relations.values() if one.kind == "styles"), "")
    if part not in package.archive:
        return {}, ""
    root, levels = package.tree(part), dict[str, int]()
    for style in root.all("style"):
        name = style.child("name")
        called = _value(name).lower() if name else ""
        identity = next((value for key, value in style.attributes.items() if key.endswith("styleId")), "")
        if heading := _HEADING.fullmatch(called):
            levels[identity] = int(heading[1])
        elif called in ("title", "caption"):
            levels[identity] = 0 if called == "title" else _CAPTION
    defaults = root.child("docDefaults")
    language = defaults.first("lang") if defaults else None
    return levels, _value(language) if language else ""


def _value(element: Element) -> str:
    return next((value for name, value in element.attributes.items() if name.rpartition(" ")[2] == "val"), "")


FORMAT = OfficeFormat("word", (".docx", ".docm", ".dotx", ".dotm"), _read)
