"""PowerPoint presentations: pictures, charts and diagrams with their descriptions (``cNvPr descr``), slide by slide.

Invariant: slides come in the order in which they are shown. What layouts and masters show is not told by screen
readers and is no place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trifacet.describing.formats.found import found
from trifacet.describing.formats.markup import Element
from trifacet.describing.formats.office import (
    Drawing,
    OfficeFormat,
    Package,
    Relation,
    is_fallback,
    joined,
    picture_of,
    related,
    words_of,
)
from trifacet.describing.place import Around, Place

_TITLES = ("title", "ctrTitle")


def _read(package: Package) -> Iterator[tuple[Place, Drawing]]:
    main, fixed, title = package.main(), package.fixed, package.title
    relations = package.relations(main)
    ids = [related(one, "id", relations) for one in package.tree(main).all("sldId")]
    for slide in [one.target for one in ids if one is not None and one.target in package.archive]:
        root, known = package.tree(slide), package.relations(slide)
        headings, words = _texts(root)
        notes = _notes(package, known)
        language = next((one.attributes["lang"] for one in root.all("rPr") if "lang" in one.attributes), "")
        for number, (drawing, shown, diagram) in enumerate(_drawings(root, slide)):
            picture = picture_of(shown, known)
            around = Around(
                headings=headings,
                before=words,
                after=notes,
                link=_link(drawing.element, known),
                title=drawing.element.attributes.get("title", ""),
                page=title,
                language=language,
                file_name=picture.address.rpartition("/")[2],
            )
            key = f"{slide}#{number}"
            marks = {"decorative": drawing.decorative, "diagram": diagram}
            yield found(key, picture, drawing.alt, around, fixed=fixed, **marks), drawing


def _drawings(root: Element, slide: str) -> Iterator[tuple[Drawing, Element | None, bool]]:
    """Drawings that show something, what names the picture, and whether it is a chart or a diagram."""
    for element in root.all("pic", "graphicFrame"):
        named = element.first("cNvPr")
        if is_fallback(element) or named is None or element.within("oleObj"):
            continue
        if element.name == "pic":
            yield Drawing(slide, named), element.first("blip"), False
        elif (shown := element.first("chart", "relIds", "oleObj")) is not None:
            yield Drawing(slide, named), element.first("blip") or shown, True


def _texts(root: Element) -> tuple[tuple[str, ...], str]:
    """The slide's title, and what else stands on it."""
    titles: list[str] = []
    others: list[str] = []
    for shape in root.all("sp"):
        place = shape.first("ph")
        called = place is not None and place.attributes.get("type") in _TITLES
        (titles if called else others).append(words_of(shape))
    return tuple(filter(None, titles)), joined(others)


def _notes(package: Package, relations: Mapping[str, Relation]) -> str:
    """What the speaker says."""
    part = next((one.target for one in relations.values() if one.kind == "notesSlide"), "")
    if part not in package.archive:
        return ""
    shapes = (
        one
        for one in package.tree(part).all("sp")
        if (place := one.first("ph")) and place.attributes.get("type") == "body"
    )
    return joined([words_of(one) for one in shapes])


def _link(element: Element, relations: Mapping[str, Relation]) -> str:
    click = element.child("hlinkClick")
    if click is None:
        return ""
    relation = related(click, "id", relations)
    return relation.target if relation else click.attributes.get("action", "")


FORMAT = OfficeFormat("slides", (".pptx", ".pptm", ".ppsx", ".potx"), _read)
