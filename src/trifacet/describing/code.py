"""Where in a page the code of templates stands, and their comments: what is in the one is no page yet, in the other
none.

Invariant: linear in the text's length. Code of pages' own scripts is the parser's business, not this one's. A comment
that is not closed, or that is written in no way that template engines have, is none: what may be in the page is
looked at.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

from trifacet.lint.templates import template_in

Span = tuple[int, int]
_OPENING = re.compile(r"<\?(?!xml)|<%|\{\{|\{%|\{#")
_CLOSING = {"<?": "?>", "<%": "%>", "{{": "}}", "{%": "%}", "{#": "#}"}
_LONGEST = 4000  # characters of what stands in braces: more is a script's
# How comments begin, with what ends them; those of one brace or sign only where a blank follows.
_COMMENTS = (
    (r"\{#(?=[\s+-])", "#}"),  # Jinja, Twig
    (r"<%--", "--%>"),  # JSP, ASP.NET
    (r"<%#", "%>"),  # ERB
    (r"<%doc>", "</%doc>"),  # Mako
    (r"\{\{~?!--", "--}}"),  # Handlebars
    (r"\{\{~?!(?!!)", "}}"),
    (r"\{\{--", "--}}"),  # Blade
    (r"\{\{(?:- )?\s?/\*", "*/"),  # Go
    (r"\{\*(?=\s)", "*}"),  # Smarty, Latte
    (r"(?<![\w.@])@\*(?=\s)", "*@"),  # Razor
    (r"\{%-?\s*comment\b[^%{}]*%\}", "endcomment"),  # Liquid, Django
)
_MARKS = ("{#", "{{", "{%", "{*", "<%", "@*")
_COMMENT = re.compile("|".join(f"({opening})" for opening, _ in _COMMENTS))
_ENDCOMMENT = re.compile(r"\{%-?\s*endcomment\s*-?%\}")
_AFTER = re.compile(r"\s?-?\}\}")  # what closes a comment of Go's behind "*/"
_SOURCE = re.compile(r"(?!(?:data-[\w-]*)?src(?:set)?$)(?:.*[^a-z-])?(?:ng-)?(?:src|srcset|href|data)(?:[^a-z-].*)?")
_PLAIN = frozenset(("src", "srcset", "href", "data", "xlink:href"))
_VALUE = re.compile(r"\{\{[{&~]?-?\s*+(?!(?:range|with|block|define|each)\b)[\w.$\"'(][^{}]*\}\}\}?")
_REPEATS = re.compile(r"v-for|x-for|v-slot(?::.*)?|#\w*|\*ngfor|(?:data-)?(?:ng-repeat|th[:-]each)|t-foreach|each")


class Code:
    """The pieces of a text that are a template's code."""

    def __init__(self, text: str) -> None:
        pieces = list(_pieces(text))
        self._starts, self._ends = [start for start, _ in pieces], [end for _, end in pieces]
        acting = [start for start, end in pieces if not _VALUE.fullmatch(text, start, end)]
        self._acting = (acting[0], acting[-1]) if acting else None

    def __contains__(self, offset: int) -> bool:
        at = bisect_right(self._starts, offset) - 1
        return at >= 0 and offset < self._ends[at]

    def surrounds(self, element: Any) -> bool:
        """Whether what does more than write a value stands before an element and behind it, as loops do."""
        if self._acting is not None and self._acting[0] < (element.origin_offset or 0) < self._acting[1]:
            return True
        while element is not None:
            if any(_REPEATS.fullmatch(name[:40].lower()) for name in element.attrs or ()):
                return True
            element = element.parent
        return False


def _pieces(text: str) -> Iterator[Span]:
    closing: dict[str, int] = {}  # where the next end of each kind is
    at = 0
    while (found := _OPENING.search(text, at)) is not None:
        kind, start = found[0], found.start()
        if closing.get(kind, 0) <= start:
            end = text.find(_CLOSING[kind], found.end())
            closing[kind] = len(text) + 1 if end < 0 else end
        end = closing[kind]
        at = found.end()
        if kind == "<?" and end > len(text):
            end = len(text)  # PHP need not be closed
        if end <= len(text) and (kind[0] == "<" or end - start <= _LONGEST):
            at = end + 2
            yield start, at


def comments(text: str) -> list[Span]:
    """From where to where templates' comments reach."""
    if not any(mark in text for mark in _MARKS):  # which is quicker than the pattern
        return []
    spans: list[Span] = []
    gone: set[str] = set()  # ends that do not come any more
    at = 0
    while (found := _COMMENT.search(text, at)) is not None:
        at, ending = found.end(), _COMMENTS[(found.lastindex or 1) - 1][1]
        end = -1 if ending in gone else _end(text, at, ending)
        if end < 0:
            gone.add(ending)
        else:
            spans.append((found.start(), end))
            at = end
    return spans


def _end(text: str, at: int, ending: str) -> int:
    if ending == "endcomment":
        closed = _ENDCOMMENT.search(text, at)
        return closed.end() if closed is not None else -1
    end = text.find(ending, at)
    if end < 0 or ending != "*/":
        return end + len(ending) if end >= 0 else -1
    closed = _AFTER.match(text, end + 2)
    return closed.end() if closed is not None else end + 2


def blanked(text: str, spans: Iterable[Span]) -> str:
    """The text with blanks for what is in spans, so that all places stay."""
    parts, at = list[str](), 0
    for start, end in spans:
        parts += [text[at:start], re.sub(r"[^\r\n]", " ", text[start:end])]
        at = end
    return "".join([*parts, text[at:]])


def without_code(text: str) -> str:
    """Words of a page without the code of templates in them, as a reader meets them."""
    if not any(mark in text for mark in ("{{", "{%", "{#", "<%", "<?", "{<")):
        return text
    text = blanked(text, comments(text))
    return " ".join(blanked(text, _pieces(text)).split())


def template_of(tag: str, attributes: dict[str, str | None]) -> str:
    """Why a tag is yet to be filled in, by a template or a script; "" where it is not.

    Args:
        tag: as it is written, without its name.
        attributes: its attributes.
    """
    if template_in(tag):
        return "its tag holds a template"
    bound = next((name for name in attributes if name not in _PLAIN and _SOURCE.fullmatch(name[:200].lower())), "")
    return f"a script gives its picture ({bound[:40]})" if bound else ""
