"""The alt decision tree of the W3C: what a picture is for, from what is known of the place that it stands in.

Invariant: a pure function; what is not known is asked as if it were not there. "decorative" is a proposal for a person
to confirm, unless the page says so itself. Names and words that give a picture's kind away are English ones.
Source: Web Accessibility Initiative, An alt Decision Tree (its questions in its order, but for the page's own word).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trifacet.describing.place import Role
from trifacet.lint.rule import words

_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_COMPLEX = frozenset(
    re.findall(
        r"\w+",
        "chart charts graph graphs diagram diagrams plot plots histogram infographic infographics flowchart flowchart "
        "timeline heatmap barchart piechart linechart scatterplot boxplot treemap schematic schema blueprint floorplan "
        "orgchart mindmap uml gantt sankey topology architecture",
    )
)
_LETTERING = frozenset(re.findall(r"\w+", "logo logos logotype wordmark lettering signature badge shield"))
_DECORATIVE = frozenset(
    re.findall(
        r"\w+",
        "spacer divider separator bullet ornament ornaments decoration decorative background bg backdrop texture blank "
        "transparent pixel shadow gradient swirl flourish squiggle wave waves hr",
    )
)
_ICON = frozenset(("icon", "icons", "ico", "glyph", "favicon", "emoji"))
_SAID = re.compile(
    r"\b(?:map|chart|graph|diagram|plot|infographic|flow ?chart|histogram) (?:of|showing|that shows)\b", re.IGNORECASE
)
_DOT = 2  # pixels: nobody sees what is no larger
_SMALL = 48  # pixels of an icon's longer side
_LONGEST = 1000  # characters that are looked at


@dataclass(frozen=True)
class Known:
    """What is known of a use of a picture.

    Attributes:
        alt: its present text.
        marked: why the document counts as saying that it is decorative; "" where it does not say so.
        hidden: why nobody is told of it.
        control: what it stands in: "link", "button", "area of an image map"; "" for nothing of the kind.
        named: something else than this picture names that.
        place: its number among the pictures of one link, figure or row of equal pictures, from 1.
        together: how many these are.
        caption: of its figure.
        file_name: its own.
        size: width and height in pixels, where the document gives both.
        described: a long description belongs to it.
        words_beside: words stand in the same paragraph.
        written: the words that stand in the picture, where they were read; "" for none or not known.
        beside: all words around it, which ``written`` may repeat.
    """

    alt: str | None = None
    marked: str = ""
    hidden: str = ""
    control: str = ""
    named: bool = False
    place: int = 1
    together: int = 1
    caption: str = ""
    file_name: str = ""
    size: tuple[float, float] | None = None
    described: bool = False
    words_beside: bool = False
    written: str = ""
    beside: str = ""


def decided(known: Known) -> tuple[Role, str]:
    """The role, with the reason in words."""
    if known.hidden:
        return "decorative", known.hidden
    if known.control and not known.named:
        if known.place > 1:
            return "group", f"picture {known.place} of {known.together} in the {known.control}, which the first names"
        return "functional", f"nothing else names the {known.control} around it: the text says what that does"
    if known.marked:
        return "decorative", known.marked
    if known.control:
        return "decorative", f"the {known.control} around it has words of its own, which say what it does"
    return _by_text(known) or _by_size(known) or _by_kind(known)


def _by_text(known: Known) -> tuple[Role, str] | None:
    """Where words were read in the picture."""
    written = set(words(known.written))
    if not written:
        return None
    if written <= set(words(known.beside)):
        return "decorative", "the words in it stand beside it as text"
    return "lettering", "words stand in it that are nowhere beside it"


def _by_size(known: Known) -> tuple[Role, str] | None:
    if known.size is not None and max(known.size) <= _DOT:
        return "decorative", f"is {known.size[0]:g} by {known.size[1]:g} pixels"
    return None


def _by_kind(known: Known) -> tuple[Role, str]:
    """By what its name, its caption and its neighbours say of it."""
    parts = name_parts(known.file_name)
    complex_, lettering, decorative, icon = (_named(parts, kind) for kind in (_COMPLEX, _LETTERING, _DECORATIVE, _ICON))
    said = _SAID.search(f"{(known.alt or '')[:_LONGEST]} . {known.caption[:_LONGEST]}")
    told = "tells what all show" if known.place == 1 else "is told by the first"
    small = f"is no larger than {_SMALL} pixels" if known.size is not None and max(known.size) <= _SMALL else ""
    called = f"its file is called {icon!r}" if icon else small
    answers: tuple[tuple[object, Role, str], ...] = (
        (known.described, "complex", "a long description belongs to it"),
        (complex_, "complex", f"its file is called {complex_!r}"),
        (said, "complex", f"is said to be a {said[0].split()[0].lower()}" if said else ""),
        (lettering, "lettering", f"its file is called {lettering!r}: its words are its text"),
        (known.together > 1, "group", f"picture {known.place} of {known.together} for one thing: {told}"),
        (decorative, "decorative", f"its file is called {decorative!r}"),
        (known.words_beside and called, "decorative", f"{called}, and words stand beside it"),
        (True, "plain", "adds to what the page says, as far as can be told without seeing it"),
    )
    return next((role, reason) for holds, role, reason in answers if holds)


def name_parts(file_name: str) -> list[str]:
    """The words of a file's name, in lower case: "barChart_2.png" is bar, chart."""
    stem = file_name[-_LONGEST:].rpartition(".")[0] or file_name[-_LONGEST:]
    return [part.lower() for part in _PART.findall(stem)]


def _named(parts: list[str], kind: frozenset[str]) -> str:
    return next((part for part in parts if part in kind), "")
