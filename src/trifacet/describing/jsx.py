"""JSX in Markdown (MDX): tags with expressions in them, made readable for a parser of HTML, every place kept.

Invariant: the text keeps its length and its lines. Of an expression only its braces stay, so that what it holds is
never taken for markup, and an attribute that it gives counts as a template's. Components that show a picture with
``alt`` as ``<img>`` does count as ``<img>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Of Next and Astro, Gatsby, Docusaurus: alt is the property that gives the text.
COMPONENTS = ("Image", "NextImage", "Picture", "StaticImage", "GatsbyImage", "ThemedImage")
_TAG = re.compile(r"<([A-Za-z][\w.-]*)(?=[\s/>])")
_PIECE = re.compile(r"[^\"'{>]*+(?:(?P<quoted>\"[^\"]*+\"|'[^']*+')|(?P<brace>\{)|(?P<end>>))")
_INSIDE = re.compile(r"[^{}\"'`]++|\"(?:[^\"\\\n]|\\.)*+\"|'(?:[^'\\\n]|\\.)*+'|`(?:[^`\\]|\\.)*+`|[{}\"'`]")
_SIMPLE = re.compile(r"[^\s\"'`<>={}/]*")
_LONGEST = 4_000  # characters of a tag


def as_html(text: str) -> str:
    """The text with blanks and letters for what is no HTML in tags."""
    parts, at = list[str](), 0
    for start, end, new in _changes(text):
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def _changes(text: str) -> Iterator[tuple[int, int, str]]:
    reached = 0
    for tag in _TAG.finditer(text):
        if tag.start() < reached:
            continue
        spans, at, ended = list[tuple[int, int]](), tag.end(), False
        while (piece := _PIECE.match(text, at, tag.end() + _LONGEST)) is not None:
            at = piece.end()
            if piece["end"]:
                ended = True
                break
            if piece["brace"]:
                close = _closing(text, at)
                if close < 0:
                    break
                spans.append((at, close))
                at = close + 1
        if not ended:  # so that what is broken is not scanned again from each of its tags
            end, stop = text.find(">", at), tag.end() + _LONGEST
            reached = len(text) if end < 0 else max(end, stop)
            continue
        if tag[1] in COMPONENTS:
            yield tag.start(1), tag.end(1), "img".ljust(len(tag[1]))
        for start, end in spans:
            inner = text[start:end]
            if _SIMPLE.fullmatch(inner):
                continue
            if not re.match(r"\s*\.\.\.|/\*", inner):
                lines = "\n" in inner
                yield start, end + lines, re.sub(r"[^\r\n]", "x", text[start : end + lines])
            else:
                yield start, end, "..." + re.sub(r"[^\r\n]", "x", inner[3:]) if len(inner) > 3 else inner
        reached = at


def _closing(text: str, at: int) -> int:
    """Where the brace ends that was opened before; -1: it does not, in a tag."""
    depth, stop = 1, at + _LONGEST
    for found in _INSIDE.finditer(text, at, stop):
        depth += (found[0] == "{") - (found[0] == "}")
        if depth == 0:
            return found.start()
    return -1
