"""HTML and XHTML: every element that shows a picture, and backgrounds of CSS.

Invariant: which elements show pictures, what they are called and which of them lack a text is said by ``lint``'s reader
(``lint/pages.py``), which parses as browsers do. A text is changed in ``alt``, of elements that have none in
``aria-label``; nothing is changed inside a template's code, or where the text would not be heard.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trifacet.base.errors import DataError
from trifacet.describing.code import Code, blanked, comments, template_of
from trifacet.describing.decision import Known, decided
from trifacet.describing.editing import Found, Write, edited, is_same, unique
from trifacet.describing.findings import findings_of
from trifacet.describing.flow import LONGEST
from trifacet.describing.long_descriptions import Descriptions, check_beside, in_one_line
from trifacet.describing.pages import Surroundings, picture_of
from trifacet.describing.place import Around, Edit, Picture, Place, State
from trifacet.describing.source import Change, Source, fit
from trifacet.describing.styles import backgrounds
from trifacet.describing.tags import Tag, changes, tag_at
from trifacet.describing.unseen import Unseen, in_page, shortcodes
from trifacet.lint.check import LintFinding
from trifacet.lint.documents import AltText
from trifacet.lint.pages import Page, Within, tree_of
from trifacet.lint.roles import IMAGE_ROLES, attribute, is_decoration, kind_of, role_of, style_of
from trifacet.lint.templates import is_bound, template_in

# What a page must hold for one of its elements to show a picture.
_MAYBE = re.compile(r"<(?:[\w-]+:)?(?:ima?ge?|input|area|object|embed|svg)\b|\brole\s*=|url\(", re.IGNORECASE)
_UNSEEN = re.compile(r"<noscript|srcdoc|\{[{%]", re.IGNORECASE)
_SVG = re.compile(r"<(/?)(?:[\w-]+:)?svg(?=[\s/>])[^>]*?(/?)>", re.IGNORECASE)
_LENGTH = re.compile(r"\s*(\d{1,6}(?:\.\d{1,3})?)(?:px)?\s*")
_LONG_DESCRIPTION = ("longdesc", "aria-describedby", "aria-details")
_ID = re.compile(r"[^\s\"'<>&]+")


class Html:
    """Pages. See ``place.Format``."""

    name = "html"
    suffixes = (".html", ".htm", ".xhtml", ".xht")
    takes_long = True

    def begins(self, start: bytes) -> bool:
        """Whether a file of another ending is a page by its first bytes."""
        return re.match(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html[\s>])", start, re.IGNORECASE) is not None

    def places(self, data: bytes, path: str) -> Iterator[Place]:
        """As ``place.Format`` says."""
        yield from (one.place for one in self._found(data, path))

    def unseen(self, data: bytes, path: str) -> Iterator[Unseen]:
        """Pictures in what is not looked into."""
        text = Source.of_page(data, path).text
        if _UNSEEN.search(text) is not None:
            text = blanked(text, comments(text))
            yield from in_page(text, path)
            yield from shortcodes(text)

    def edited(self, data: bytes, path: str, edits: Mapping[str, Edit]) -> bytes:
        """As ``place.Format`` says. Raises DataError also for a text that no page can hold."""
        source = Source.of_page(data, path)
        after = edited(source, path, edits, lambda data: self._found(data, path), references=True)
        if any(edit.long for edit in edits.values()) and after != data:
            check_beside(source.text, Source.of_page(after, path).text, edits, path)
        return after

    def _found(self, data: bytes, path: str) -> list[Found]:
        source = Source.of_page(data, path)
        markup = blanked(source.text, comments(source.text))
        return unique([one for one, _ in read_elements(source.text, markup, path)], source.fixed)


def read_elements(text: str, markup: str, path: str, more: str = "") -> Iterator[tuple[Found, bool]]:
    """The pictures of a page, and of each whether words stand in an element beside it.

    Args:
        text: the page as it is.
        markup: the same with blanks for what is no HTML.
        path: of the document.
        more: characters that values are to have as references only.

    Raises:
        DataError: it can't be read.
    """
    if _MAYBE.search(markup) is None:
        return
    page = Page(tree_of(markup, Path(path)), Path(path), texts=True)
    pictures = [one for element, within in page.elements if (one := _shown(page, element, within)) is not None]
    if not pictures and "url(" not in markup.lower():
        return
    surroundings, code, groups = Surroundings(page), Code(text), _Groups(page)
    descriptions = Descriptions(page.nodes, text, path)
    for picture in pictures:
        groups.add(picture, surroundings)
    following = iter(pictures)
    shown = next(following, None)
    for element, within in page.elements:
        if shown is not None and shown.element is element:
            yield _place(shown, text, markup, path, surroundings, code, groups, descriptions, more)
            shown = next(following, None)
        for number, address in enumerate(_styled(element)):
            yield _background(element, within, number, address, surroundings), False


@dataclass
class _Shown:
    """An element that shows a picture, what lint says of it, and what is found out about it."""

    element: Any
    within: Within
    kind: str
    name: str
    alt: AltText | None
    picture: Picture
    decorative: bool


def _shown(page: Page, element: Any, within: Within) -> _Shown | None:
    kind = kind_of(element) or ("img" if element.name == "img" else None)
    if kind is None or (kind == "svg" and _in_drawing(element)):
        return None
    decorative = is_decoration(element)
    alt = page.alt_text(element, within)
    name = attribute(element, "alt") if decorative else page.names.of_image(element, kind, within.label) or ""
    picture = Picture("svg", "") if kind == "svg" or element.namespace == "svg" else picture_of(element)
    return _Shown(element, within, kind, name, alt, picture, decorative)


def _in_drawing(element: Any) -> bool:
    """Whether a drawing is a part of another one."""
    return element.parent is not None and element.parent.namespace == "svg"


class _Groups:
    """Which pictures stand for one thing: those of a link, of a figure, and a row of the same picture."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._numbers: dict[int, tuple[object, int]] = {}
        self._sizes: Counter[object] = Counter()
        self._texts: Counter[int] = Counter()  # pictures with a text, by link
        self._row: tuple[object, ...] = ()
        self._rows = 0

    def add(self, shown: _Shown, surroundings: Surroundings) -> None:
        """Note a picture; they come in their order."""
        within, spot = shown.within, surroundings.spot(shown.element)
        row = (*spot, shown.picture.address) if shown.picture.address else (id(shown),)
        self._rows += row != self._row
        self._row = row
        if within.control is not None:
            key: object = id(within.control)
            self._texts[id(within.control)] += bool(shown.name.strip())
        else:
            key = ("figure", id(within.figure)) if within.figure is not None else ("row", self._rows)
        self._sizes[key] += 1
        self._numbers[id(shown.element)] = key, self._sizes[key]

    def of(self, shown: _Shown) -> tuple[int, int]:
        """The picture's number among those of its group, and how many these are."""
        key, number = self._numbers[id(shown.element)]
        return number, self._sizes[key]

    def names_control(self, shown: _Shown) -> bool:
        """Whether something else than this picture names the link or button around it."""
        control, names = shown.within.control, self._page.names
        if control is None:
            return False
        others = self._texts[id(control)] - bool(shown.name.strip())
        given = names.given(control) or attribute(control, "title").strip() or names.words(control)
        return bool(others or given) or is_bound(control.attrs)


def _place(
    shown: _Shown,
    text: str,
    markup: str,
    path: str,
    surroundings: Surroundings,
    code: Code,
    groups: _Groups,
    descriptions: Descriptions,
    more: str,
) -> tuple[Found, bool]:
    element, within, kind = shown.element, shown.within, shown.kind
    tag = tag_at(text, element.origin_offset, element.attrs)
    holds = "alt" if kind in ("img", "input", "area") else "aria-label"
    if shown.picture.source == "svg":
        shown.picture = Picture("svg", _drawing(text, element.origin_offset))
    around, beside = surroundings.around(element, within, shown.picture)
    hidden = _hidden(shown)
    alt, state = _state(shown, holds, tag, text, hidden)
    number, together = groups.of(shown)
    role, reason = decided(
        Known(
            alt=alt,
            marked=_marked(shown, alt),
            hidden=hidden,
            control=_control(shown),
            named=groups.names_control(shown),
            place=number,
            together=together,
            caption=around.caption,
            file_name=around.file_name,
            size=_size(element),
            described=any(attribute(element, name).strip() for name in _LONG_DESCRIPTION),
            words_beside=beside,
        )
    )
    fixed = hidden or _fixed(shown, holds, tag, text, code)
    if tag is not None and text is not markup and text[tag.name_end : tag.end] != markup[tag.name_end : tag.end]:
        fixed = fixed or "its tag holds what is no HTML"
    line, column = element.origin_location or (None, None)
    findings: tuple[LintFinding, ...] = ()
    if shown.alt is not None and state != "template":
        findings = findings_of(shown.alt)
    place = Place(
        key=f"{element.name}@{element.origin_offset}",
        picture=shown.picture, alt=alt, state=state, role=role, reason=reason, around=around,
        line=line, column=column, fixed=fixed, findings=findings, described=descriptions.said(element),
    )  # fmt: skip
    own = beside and not surroundings.is_loose(element)

    def describe(long: str) -> tuple[str, Change]:
        return descriptions.put(element, long, around.language, code)

    return Found(place, None if fixed or tag is None else _writer(tag, holds, path, more, place, describe)), own


def _writer(
    tag: Tag, holds: str, path: str, more: str, place: Place, describe: Callable[[str], tuple[str, Change]]
) -> Write:
    def write(edit: Edit) -> Iterator[Change]:
        if holds != "alt" and not edit.alt.strip():
            cure = "hide it by hand: aria-hidden"
            raise DataError(f"an element without alt can't be decorative by {holds}", fix=cure, file=path)
        wanted = {} if is_same(place, edit.alt) else {holds: fit(edit.alt, path)}
        if edit.long and in_one_line(edit.long) != place.described:
            if not edit.alt.strip():
                raise DataError("a decorative picture has no long description", fix="give it a text", file=path)
            wanted["aria-describedby"], change = describe(edit.long)
            yield change
        if edit.described_by:
            if not _ID.fullmatch(edit.described_by):
                raise DataError(f"{edit.described_by!r} is no id", fix="give one without blanks", file=path)
            described = tag.attributes.get("aria-describedby")
            if described is not None:
                raise DataError("has a description already", fix="change it by hand", file=path)
            wanted["aria-describedby"] = edit.described_by
        if edit.source:
            wanted["data-alt-source"] = fit(edit.source, path)
        yield from changes(tag, wanted, more)

    return write


def _hidden(shown: _Shown) -> str:
    """Why nobody is told of it."""
    if shown.within.unsaid == "hidden":
        return 'aria-hidden="true" keeps it from screen readers'
    if shown.within.unsaid == "part":
        return "a part of the image around it"
    drawn = shown.kind == "svg" and not shown.name and role_of(shown.element) not in IMAGE_ROLES
    if drawn and not (shown.alt is not None and shown.alt.needed):
        return "a drawing without a role, of which screen readers say nothing"
    if kind_of(shown.element) is None:
        return "a picture of one dot"
    return ""


def _marked(shown: _Shown, alt: str | None) -> str:
    if not shown.decorative:
        return ""
    return 'its page marks it as decorative (alt="")' if alt == "" else "its page marks it as decorative (role)"


def _control(shown: _Shown) -> str:
    own = {"area": "area of an image map", "input": "image button"}.get(shown.kind, "")
    if own or shown.within.control is None:
        return own
    control = shown.within.control
    role = role_of(control)
    return role or ("link" if control.name == "a" else "button" if control.name == "button" else "heading of details")


def _state(shown: _Shown, holds: str, tag: Tag | None, text: str, hidden: str) -> tuple[str | None, State]:
    """The text that is heard, or stands where it is to stand, and what it amounts to."""
    attributes = shown.element.attrs
    own: str | None = (attributes[holds] or "") if holds in attributes else None
    written = tag.attributes[holds].value if tag is not None and holds in tag.attributes else None
    raw = text[slice(*written)] if written else own or ""
    if template_in(raw) or (is_bound(attributes) and not shown.decorative):
        return own, "template"
    if shown.decorative or hidden:
        return own, "empty"
    if not shown.name.strip():
        return own, "empty" if own == "" else "missing"
    return (own if own and own.strip() == shown.name.strip() else shown.name), "text"


def _fixed(shown: _Shown, holds: str, tag: Tag | None, text: str, code: Code) -> str:
    """Why its text can't be changed."""
    element = shown.element
    if tag is None:
        return "its tag can't be found in the source for sure"
    if element.origin_offset in code:
        return "stands inside a template's code"
    if template := template_of(text[tag.name_end : tag.end], element.attrs):
        return template
    labelled = bool(attribute(element, "aria-label").strip())
    reasons = (
        (is_bound(element.attrs), "a template or a script gives its text"),
        (_is_silent(shown), "its role keeps its text from screen readers"),
        (bool(attribute(element, "aria-labelledby").strip()), "aria-labelledby gives its text"),
        (holds == "alt" and labelled, "aria-label gives its text, which is said instead of alt"),
        (shown.kind == "svg" and bool(shown.name) and not labelled, "its <title> gives its text"),
        (
            shown.kind == "svg" and role_of(element) not in IMAGE_ROLES,
            'a drawing without a role: give it role="img" and aria-label',
        ),
    )
    return next((reason for wrong, reason in reasons if wrong), "")


def _is_silent(shown: _Shown) -> bool:
    """Whether its role says that it is decorative."""
    return shown.decorative and role_of(shown.element) not in ("", *IMAGE_ROLES)


def _size(element: Any) -> tuple[float, float] | None:
    style = style_of(element)
    found = [_LENGTH.fullmatch(style.get(side) or attribute(element, side)) for side in ("width", "height")]
    return (float(found[0][1]), float(found[1][1])) if found[0] and found[1] else None


def _drawing(text: str, start: int | None) -> str:
    """A drawing as it is written, to its end."""
    depth = 0
    for found in _SVG.finditer(text, start if start is not None else len(text)):
        depth += -1 if found[1] else 0 if found[2] else 1
        if depth <= 0:
            return text[start : found.end()]
    return ""


def _styled(element: Any) -> Iterator[str]:
    """The addresses of an element's backgrounds, and of a style sheet's."""
    style = attribute(element, "style")
    if "url(" in style.lower():
        yield from backgrounds(style)
    if element.name == "style":
        for child in element.children:
            yield from backgrounds(child.data or "")


def _background(element: Any, within: Within, number: int, address: str, surroundings: Surroundings) -> Found:
    picture = Picture("css", address)
    line, column = element.origin_location or (None, None)
    around, _ = surroundings.around(element, within, picture) if element.name != "style" else (Around(), False)
    place = Place(
        key=f"css@{element.origin_offset}.{number}",
        picture=picture, alt=None, state="empty", role="decorative",
        reason="a background of CSS, of which screen readers say nothing",
        around=around, line=line, column=column, fixed="a background of CSS has no text",
    )  # fmt: skip
    return Found(place)


__all__ = ["LONGEST", "Html", "read_elements"]
FORMAT = Html()
